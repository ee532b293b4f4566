/// The loop of gap_kernel.h; included once per instruction set, inside an anonymous namespace. Eight lanes whatever the
/// processor's width, so that sums are formed in the same order everywhere.

using Lanes = double __attribute__((vector_size(64)));
using FloatLanes = float __attribute__((vector_size(32)));
constexpr std::size_t kLanes = 8;

template <class Vector, class Scalar>
inline Vector load(const Scalar* from) {
  Vector lanes;
  __builtin_memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

inline Lanes least(const Lanes& a, const Lanes& b) { return a < b ? a : b; }

double value(const GapBatch& batch) {
  Lanes total{};
  for (std::size_t i = 0; i < batch.count; i += kLanes) {
    const Lanes end = load<Lanes>(batch.end + i);
    const Lanes hold = end - load<Lanes>(batch.begin + i);
    const Lanes fetch = end + least(load<Lanes>(batch.fetch_a + i), load<Lanes>(batch.fetch_b + i));
    const Lanes cost = least(least(hold, load<Lanes>(batch.miss + i)), fetch);
    total += __builtin_convertvector(load<FloatLanes>(batch.bytes + i), Lanes) * cost;
  }
  double sum = 0;
  for (std::size_t i = 0; i < kLanes; ++i) {
    sum += total[i];
  }
  return sum;
}
