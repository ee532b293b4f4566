/// The loops of value_kernel.h; included once per instruction set, inside an anonymous namespace and behind that set's
/// own lanes_that_are(). As many lanes as the set has: GCC 12 takes wider vectors apart lane by lane where it compares.

constexpr std::size_t kLanes = sizeof(Floats) / sizeof(float);
static_assert(kValueLanes % kLanes == 0);

template <class Vector, class Scalar>
inline Vector load(const Scalar* from) {
  Vector lanes;
  __builtin_memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

template <class Vector, class Scalar>
inline void store(Scalar* to, const Vector& lanes) {
  __builtin_memcpy(to, &lanes, sizeof lanes);
}

template <class To, class From>
inline To bits_as(const From& lanes) {
  To same;
  __builtin_memcpy(&same, &lanes, sizeof same);
  return same;
}

/// ln v for normal v > 0, within 1e-4: the exponent, and a polynomial of degree 4 for log2 of the mantissa.
inline Floats fast_ln(const Floats& v) {
  const auto bits = bits_as<Ints>(v);
  const Floats exponent = __builtin_convertvector((bits >> 23) - 127, Floats);
  const auto m = bits_as<Floats>((bits & 0x7fffff) | 0x3f800000);
  const Floats log2_m = -2.49835315F + m * (4.02921139F + m * (-2.07833517F + m * (0.62603218F + m * -0.07844068F)));
  return (exponent + log2_m) * 0.69314718F;
}

/// ln of one and the steps since the last read; 0 of what is read now.
inline Floats log_unread(const ValueBatch& batch, std::size_t i) {
  return fast_ln(1.0F + __builtin_convertvector(batch.now - load<Ints>(batch.last_reads + i), Floats));
}

/// Takes in whether blocks were read, for good.
struct Reads {
  Floats now;
  Floats over_20;
  Floats over_100;
};
inline Reads take_reads(const ValueBatch& batch, std::size_t i) {
  Reads reads{load<Floats>(batch.read + i), load<Floats>(batch.reads_20 + i), load<Floats>(batch.reads_100 + i)};
  store(batch.read + i, Floats{});
  reads.over_20 += 0.05F * (reads.now - reads.over_20);
  reads.over_100 += 0.01F * (reads.now - reads.over_100);
  store(batch.reads_20 + i, reads.over_20);
  store(batch.reads_100 + i, reads.over_100);
  return reads;
}

inline void end_values(const ValueBatch& batch) {
  for (std::size_t i = batch.count; i % kValueLanes != 0; ++i) {
    batch.values[i] = __builtin_inff();
  }
}

constexpr float kFadeOfPeak = 0.015F;

void by_ranks(const ValueBatch& of_layer) {
  const ValueBatch batch = of_layer;  // its own, so that no store may change it
  for (std::size_t i = 0; i < batch.count; i += kLanes) {
    const auto x = load<Floats>(batch.ranks + i);
    const Reads reads = take_reads(batch, i);
    auto average = load<Floats>(batch.first + i);
    average += 0.2F * (x - average);
    store(batch.first + i, average);
    const Floats faded = load<Floats>(batch.second + i) - kFadeOfPeak;
    const Floats peak = faded < x ? x : faded;
    store(batch.second + i, peak);
    const Floats often = 2.56F * reads.over_20 + 0.2F * fast_ln(reads.over_100 + 0.002F);
    store(batch.values + i,
          0.482F * x + 0.625F * average + 0.412F * peak - 0.5F * log_unread(batch, i) + batch.frequency * often);
  }
  end_values(batch);
}

void by_reads(const ValueBatch& of_layer) {
  const ValueBatch batch = of_layer;  // as above
  for (std::size_t i = 0; i < batch.count; i += kLanes) {
    const Reads reads = take_reads(batch, i);
    auto over_2 = load<Floats>(batch.first + i);
    over_2 += 0.5F * (reads.now - over_2);
    store(batch.first + i, over_2);
    auto over_5 = load<Floats>(batch.second + i);
    over_5 += 0.2F * (reads.now - over_5);
    store(batch.second + i, over_5);
    const Floats often = 2.394F * reads.over_20 + 0.535F * fast_ln(reads.over_100 + 0.002F);
    store(batch.values + i, 0.657F * over_2 + 0.643F * over_5 - 0.65F * log_unread(batch, i) + batch.frequency * often);
  }
  end_values(batch);
}

inline float least_of(const Floats& lanes) {
  float least = lanes[0];
  for (std::size_t lane = 1; lane < kLanes; ++lane) {
    least = lanes[lane] < least ? lanes[lane] : least;
  }
  return least;
}

std::size_t take_lowest(float* values, std::size_t count, std::size_t most, PlacedValue* found) {
  std::size_t taken = 0;
  while (taken < most && count > 0) {
    auto lowest = load<Floats>(values);
    for (std::size_t i = kLanes; i < count; i += kLanes) {
      const auto next = load<Floats>(values + i);
      lowest = next < lowest ? next : lowest;
    }
    const float least = least_of(lowest);
    if (least == __builtin_inff()) {
      break;
    }
    std::size_t place = 0;
    while (lanes_that_are(load<Floats>(values + place), least) == 0) {
      place += kLanes;
    }
    place += static_cast<std::size_t>(__builtin_ctz(lanes_that_are(load<Floats>(values + place), least)));
    values[place] = __builtin_inff();
    found[taken++] = {least, static_cast<std::uint32_t>(place)};
  }
  return taken;
}
