#include "size/scale.h"

#include <algorithm>
#include <cmath>

#include "size/variation.h"

namespace kvplace {
namespace {

constexpr double kStride = 1.5;  // of link or batch, from what reaches the target to what may not
constexpr std::int64_t kMostStrides = 64;

/// As many blocks as hold so many bytes.
std::int64_t blocks_for(std::int64_t bytes, std::int64_t block) { return (bytes + block - 1) / block; }

Scale capacity_scale(const Instance& instance, double tolerance) {
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  const std::int64_t of_request = instance.mean_kv_block_bytes().value();
  const std::int64_t block = of_request * instance.options().batch;
  Scale scale;
  scale.most = blocks_for(competing_bytes(instance).value(), of_request);
  scale.tolerance = tolerance;
  scale.bytes_of_request = of_request;
  scale.spec = [spec, block](std::int64_t blocks) {
    InstanceSpec changed = spec;
    set_capacity(changed, Bytes(blocks * block));
    return changed;
  };
  scale.value = [block](std::int64_t blocks) { return static_cast<double>(blocks * block); };
  return scale;
}

/// Blocks of KV pages; of experts as many as are as large.
Scale buffer_scale(const Instance& instance, double tolerance) {
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  const std::int64_t row = instance.kv_row_bytes().value();
  Scale scale;
  scale.most = blocks_for(competing_bytes(instance).value(), row);
  scale.tolerance = tolerance;
  scale.bytes_of_request = row;
  scale.spec = [spec, row, batch = std::int64_t{instance.options().batch}](std::int64_t blocks) {
    InstanceSpec changed = spec;
    set_capacity(changed, Bytes(blocks * row * batch));
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
  scale.end = RangeEnd::kSearchLimit;
  scale.from = Bracket::From::kFirst;
  scale.first = std::clamp<std::int64_t>(0, scale.least, scale.most);  // the link given
  scale.stride = static_cast<std::int64_t>(std::ceil(std::log(kStride) / step));
  scale.lower = [stride = scale.stride](std::int64_t i, std::int64_t times) { return i - stride * times; };
  scale.value = [read, factor](std::int64_t i) { return read * factor(i); };
  return scale;
}

/// How many requests there may be, at least 1, and why not more.
struct MostRequests {
  std::int64_t count = kMostBatch;
  RangeEnd end = RangeEnd::kSearchLimit;

  void limit(std::int64_t most, RangeEnd why) {
    if (most < count) {
      count = std::max<std::int64_t>(1, most);
      end = why;
    }
  }
};

MostRequests most_requests(const Evaluator& evaluator, const Instance& instance) {
  const GpuShare& share = instance.share();
  const InstanceOptions& options = instance.options();
  const std::int64_t groups = share.attention_dp;  // which share the requests
  MostRequests most;
  most.limit(
      share.machine.far.capacity.value() / std::max<std::int64_t>(1, kv_bytes_of_request(instance).value()) * groups,
      RangeEnd::kFarMemory);
  if (options.near_blocks_per_layer || options.near_fraction) {  // each request brings its own near capacity
    const double left = std::max(0.0, static_cast<double>((share.near.memory - share.near.weights).value()));
    const double each = std::max(1.0, static_cast<double>(instance.capacity().value()));
    most.limit(static_cast<std::int64_t>(left / each) * groups, RangeEnd::kNearMemory);
  }
  // What else is near of a request may fill near memory, where that is divided up.
  const RangeEnd why = share.deployment && !options.near_capacity ? RangeEnd::kNearMemory : RangeEnd::kSearchLimit;
  std::int64_t fits = 1;
  while (fits < most.count) {  // instances are cheap to make, and tell what numbers they reckon with
    InstanceSpec spec = instance.spec();
    spec.options.batch = static_cast<std::uint32_t>(fits + (most.count - fits + 1) / 2);
    if (evaluator.make(spec)) {
      fits = spec.options.batch;
    } else {
      most.limit(std::int64_t{spec.options.batch} - 1, why);
    }
  }
  return most;
}

}  // namespace

Scale batch_scale(const Evaluator& evaluator, const Instance& instance, std::int64_t least) {
  const InstanceSpec& spec = instance.spec();  // copied where it is captured
  const MostRequests most = most_requests(evaluator, instance);
  Scale scale;
  scale.least = least;
  scale.most = most.count;
  scale.end = most.end;
  scale.from = Bracket::From::kLeast;
  scale.position = [](std::int64_t batch) { return std::log(static_cast<double>(batch)); };
  scale.spec = [spec](std::int64_t batch) {
    InstanceSpec changed = spec;
    changed.options.batch = static_cast<std::uint32_t>(batch);
    return changed;
  };
  scale.value = [](std::int64_t batch) { return static_cast<double>(batch); };
  return scale;
}

Result<Scale> make_scale(const Evaluator& evaluator, const Instance& instance, const SizeOptions& options) {
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
  if (instance.layout().served != nullptr) {
    return bad_input(
        "the trace is a served batch, whose requests run when its table says: merge it with other --slots");
  }
  Scale scale = batch_scale(evaluator, instance, 1);
  if (options.target.kind == SizeTarget::Kind::kShareOfAllNear) {
    // More requests leave less near for each: the largest batch is searched for, so the numbers run down.
    const std::int64_t sum = scale.least + scale.most;
    scale.from = Bracket::From::kEnds;
    scale.position = [sum](std::int64_t i) { return -std::log(static_cast<double>(sum - i)); };
    scale.lower = [sum](std::int64_t i, std::int64_t times) {
      const double more = static_cast<double>(sum - i) * std::pow(kStride, std::min(times, kMostStrides));
      return sum - static_cast<std::int64_t>(std::min(std::ceil(more), static_cast<double>(sum)));
    };
    scale.spec = [up = scale.spec, sum](std::int64_t i) { return up(sum - i); };
    scale.value = [sum](std::int64_t i) { return static_cast<double>(sum - i); };
  }
  return scale;
}

}  // namespace kvplace
