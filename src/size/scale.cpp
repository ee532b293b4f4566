#include "size/scale.h"

#include <algorithm>
#include <cmath>

#include "size/variation.h"

namespace kvplace {
namespace {

constexpr std::int64_t kMostBatch = std::int64_t{1} << 20;

Scale capacity_scale(const Instance& instance, double tolerance) {
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  const std::int64_t block = instance.kv_block_bytes().value() * spec.options.batch;
  Scale scale;
  scale.most = kv_bytes_of_request(instance).value() / instance.kv_block_bytes().value();
  scale.tolerance = tolerance;
  scale.spec = [spec, block](std::int64_t blocks) {
    InstanceSpec changed = spec;
    set_capacity(changed, Bytes(blocks * block));
    return changed;
  };
  scale.value = [block](std::int64_t blocks) { return static_cast<double>(blocks * block); };
  return scale;
}

Scale buffer_scale(const Instance& instance, double tolerance) {
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  Scale scale;
  scale.most = instance.blocks_per_layer();
  scale.tolerance = tolerance;
  scale.spec = [spec](std::int64_t blocks) {
    InstanceSpec changed = spec;
    set_blocks_per_layer(changed, static_cast<std::uint32_t>(blocks));
    return changed;
  };
  scale.value = [](std::int64_t blocks) { return static_cast<double>(blocks); };
  return scale;
}

/// Each step is faster by `tolerance`; from a millionth of the link given to a million times it, as far as a
/// certificate can say.
Scale link_scale(const Instance& instance, double tolerance) {
  constexpr double kWidest = 0x1p20;
  constexpr double kFastest = 0x1p49;          // bytes/s; a certificate ends at 2^50
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  const Hardware& hardware = spec.hardware;
  const double read = hardware.effective(hardware.far.link_read).value();
  const double fastest = std::max(read, hardware.effective(hardware.far.link_write).value());
  const double step = std::log1p(std::max(tolerance, 1e-6));
  Scale scale;
  scale.least = static_cast<std::int64_t>(std::ceil(std::log(std::max(1 / kWidest, 1 / read)) / step));
  scale.most = static_cast<std::int64_t>(std::floor(std::log(std::min(kWidest, kFastest / fastest)) / step));
  const auto factor = [step](std::int64_t i) { return std::exp(step * static_cast<double>(i)); };
  scale.spec = [spec, factor](std::int64_t i) {
    InstanceSpec changed = spec;
    scale_link(changed.hardware, factor(i));
    return changed;
  };
  scale.value = [read, factor](std::int64_t i) { return read * factor(i); };
  return scale;
}

}  // namespace

std::int64_t most_requests(const Instance& instance) {
  const Hardware& hardware = instance.spec().hardware;
  const std::int64_t request = std::max<std::int64_t>(1, kv_bytes_of_request(instance).value());
  return std::clamp<std::int64_t>(hardware.far.capacity.value() / request, 1, kMostBatch);
}

Scale batch_scale(const Instance& instance, std::int64_t least) {
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  Scale scale;
  scale.least = least;
  scale.most = most_requests(instance);
  scale.from = Bracket::From::kLeast;
  scale.spec = [spec](std::int64_t batch) {
    InstanceSpec changed = spec;
    changed.options.batch = static_cast<std::uint32_t>(batch);
    return changed;
  };
  scale.value = [](std::int64_t batch) { return static_cast<double>(batch); };
  return scale;
}

Result<Scale> make_scale(const Instance& instance, const SizeOptions& options) {
  switch (options.find) {
    case Find::kNearCapacity:
      return capacity_scale(instance, options.tolerance);
    case Find::kBuffer:
      return buffer_scale(instance, options.tolerance);
    case Find::kLink:
      return link_scale(instance, options.tolerance);
    case Find::kBatch:
      break;
  }
  if (instance.layout().experts > 0) {
    return bad_input("the trace has expert blocks, which requests share: its batch is always 1");
  }
  Scale scale = batch_scale(instance, 1);
  if (options.target.kind == SizeTarget::Kind::kShareOfAllNear) {
    // More requests leave less near for each: the largest batch is searched for, so the numbers run down.
    const std::int64_t sum = scale.least + scale.most;
    scale.from = Bracket::From::kEnds;
    scale.spec = [up = scale.spec, sum](std::int64_t i) { return up(sum - i); };
    scale.value = [sum](std::int64_t i) { return static_cast<double>(sum - i); };
  }
  return scale;
}

}  // namespace kvplace
