#include "trace/symmetric_difference.h"

#include <algorithm>
#include <cstring>

namespace kvplace {
namespace {

/// Runs that are in both lists are skipped. Elsewhere nothing branches on what is compared: which id is less cannot be
/// guessed.
class Merge {
 public:
  Merge(std::span<const BlockId> a, std::span<const BlockId> b, std::uint32_t* out)
      : a_(a.data()), a_end_(a.data() + a.size()), b_(b.data()), b_end_(b.data() + b.size()), out_(out) {}

  [[nodiscard]] bool has_run() const { return a_end_ - a_ >= kRun && b_end_ - b_ >= kRun; }

  /// REQUIRES: has_run().
  void merge_run() {
    if (std::memcmp(a_, b_, kRun * sizeof(BlockId)) == 0) {
      a_ += kRun;
      b_ += kRun;
      return;
    }
    for (std::ptrdiff_t i = 0; i < kRun; ++i) {
      merge_one();
    }
  }

  /// Merges what is left; returns the end of the output.
  std::uint32_t* finish() {
    while (has_run()) {
      merge_run();
    }
    while (a_ != a_end_ && b_ != b_end_) {
      merge_one();
    }
    const auto value = [](BlockId id) { return id.value(); };
    out_ = std::transform(a_, a_end_, out_, value);
    return std::transform(b_, b_end_, out_, value);
  }

 private:
  static constexpr std::ptrdiff_t kRun = 4;

  void merge_one() {
    const std::uint32_t a = a_->value();
    const std::uint32_t b = b_->value();
    // In words that no compiler turns into branches.
    const auto past_a = static_cast<std::uint32_t>(a <= b);
    const auto past_b = static_cast<std::uint32_t>(b <= a);
    *out_ = b ^ ((a ^ b) & (0 - past_a));  // the lesser
    out_ += 2 - past_a - past_b;
    a_ += past_a;
    b_ += past_b;
  }

  const BlockId* a_;
  const BlockId* a_end_;
  const BlockId* b_;
  const BlockId* b_end_;
  std::uint32_t* out_;
};

}  // namespace

std::size_t symmetric_difference(std::span<const BlockId> before, std::span<const BlockId> now, std::uint32_t* out) {
  // Each comparison waits for the one before it, so the lists' halves are merged side by side.
  const std::size_t half = now.size() / 2;
  const auto half_before = static_cast<std::size_t>(
      half == 0 ? 0 : std::lower_bound(before.begin(), before.end(), now[half]) - before.begin());
  std::uint32_t* const out_high = out + half_before + half;
  Merge low(before.first(half_before), now.first(half), out);
  Merge high(before.subspan(half_before), now.subspan(half), out_high);
  while (low.has_run() && high.has_run()) {
    low.merge_run();
    high.merge_run();
  }
  std::uint32_t* const low_end = low.finish();
  return static_cast<std::size_t>(std::copy(out_high, high.finish(), low_end) - out);
}

}  // namespace kvplace
