#include "runtime/run/trace_runner.h"

#include <algorithm>
#include <cstring>

#include "kvplace/base/parse.h"
#include "kvplace/runtime/attention.h"
#include "runtime/calibrate/rates.h"

namespace kvplace {
namespace {

constexpr std::int64_t kLeastBlock = 4096;
constexpr std::int64_t kLargestBlock = std::int64_t{256} << 20;
constexpr std::int64_t kMostWeights = std::int64_t{4} << 30;
constexpr std::size_t kReadUnit = 256;  // of plain loads
constexpr std::uint32_t kStaging = 256;

}  // namespace

Status check_runs(const TraceReader& trace, const Instance& instance) {
  const InstanceOptions& options = instance.options();
  const auto refuse = [&](const std::string& what) { return bad_input(trace.path() + ": " + what); };
  if (instance.layout().experts > 0) {
    return refuse("has experts; the runtime moves KV pages only");
  }
  if (instance.layout().served != nullptr) {
    return refuse("is of a served batch, whose requests come and go; the runtime has requests that run all the time");
  }
  if (!instance.has_like_layers()) {
    return refuse("blocks of its layers have unlike sizes; the runtime has blocks of one size: give --block-bytes");
  }
  if (!instance.reads_whole_pages()) {
    return refuse("has reads of parts of blocks; the runtime reads whole ones");
  }
  if (options.gpus > 1 || instance.share().deployment) {
    return refuse("the runtime is one processor; leave out GPUs, and models that are given layer by layer");
  }
  if (options.batch > 1) {
    return refuse("the runtime runs one request; for the bytes of a batch of n give --block-bytes n times as large");
  }
  if (options.mirrored_reads == MirroredReads::kSplit && options.mode == Mode::kInclusive) {
    return refuse("the runtime reads what is near from near; leave out --mirrored-reads split");
  }
  if (options.weights_near < 1) {
    return refuse("the runtime has its weights in near memory; leave out --weights-near");
  }
  const Bytes block = instance.kv_block_bytes(LayerIndex(0));
  if (block < Bytes(kLeastBlock) || block > Bytes(kLargestBlock)) {
    return refuse("its blocks are " + format_bytes(block) + "; the runtime moves 4KiB to 256MiB: give --block-bytes");
  }
  const std::int64_t weights = instance.fixed_bytes(StepIndex(0), LayerIndex(0)).value();
  if (weights > kMostWeights / instance.layers()) {
    return refuse("weights of " + format_bytes(Bytes(weights)) +
                  " in each step are more than the runtime reads; give --weight-bytes-per-step");
  }
  return {};
}

Status TraceRunner::make_placement() {
  KVPLACE_ASSIGN(placement, PolicyPlacement::make(job_));
  placement_ = std::move(placement);
  return {};
}

Status TraceRunner::start(std::span<const std::uint32_t> first_reads, std::uint32_t end_step) {
  KVPLACE_TRY(placement_->start(first_reads, trace_.meta().has_ranking));
  const InstanceOptions& options = instance_.options();
  const BlockLayout& layout = instance_.layout();
  const Bytes block = instance_.kv_block_bytes(LayerIndex(0));
  block_bytes_ = static_cast<std::size_t>(block.value());

  std::uint32_t most_verified = 1;
  if (trace_.totals().step_tokens != nullptr) {
    for (const StepTokens& tokens : *trace_.totals().step_tokens) {
      most_verified = std::max(most_verified, tokens.verified);
    }
  }
  TieredPagesOptions pages;
  pages.num_blocks = instance_.num_blocks();
  pages.page_bytes = Bytes(static_cast<std::int64_t>(block_bytes_));
  pages.near_pages = static_cast<std::uint32_t>(
      std::min<std::int64_t>(instance_.capacity().value() / block.value(), instance_.num_blocks()));
  pages.filling_pages = instance_.layers() * layout.requests * (2 + (most_verified - 1) / layout.block_tokens + 1);
  pages.staging_pages = options_.staging_pages != 0 ? options_.staging_pages : kStaging;
  pages.mode = options.mode;
  pages.copies = options.copies;

  constexpr std::uint32_t kAlignment = 4096;  // of any far memory
  const Bytes stride((static_cast<std::int64_t>(block_bytes_) + kAlignment - 1) / kAlignment * kAlignment);
  const std::uint64_t far_blocks = std::min<std::uint64_t>(
      instance_.num_blocks(),
      std::uint64_t{instance_.layers()} * layout.requests *
          (layout.prompt_pages() + std::uint64_t{end_step} * most_verified / layout.block_tokens + 1));
  KVPLACE_ASSIGN(far,
                 make_memory(options_.far, Slots::capacity_for(far_blocks, stride, kAlignment, Bytes(kAlignment))));
  KVPLACE_ASSIGN(near, make_dram_memory(TieredPages::near_capacity(pages, far->alignment())));
  KVPLACE_ASSIGN(made, TieredPages::make(pages, std::move(near), std::move(far)));
  pages_ = std::move(made);
  // Nothing of them is cached from one step to the next of the layer.
  const std::int64_t weights = instance_.fixed_bytes(StepIndex(0), LayerIndex(0)).value();
  if (weights > 0) {
    weight_bytes_ = static_cast<std::uint64_t>(weights) * instance_.layers();
    KVPLACE_ASSIGN(mapping, Mapping::make(Bytes(static_cast<std::int64_t>(weight_bytes_)), -1, "weights"));
    weights_.emplace(std::move(mapping));
  }
  versions_.assign(instance_.num_blocks(), 0);
  filling_.resize(std::size_t{instance_.layers()} * layout.requests);
  result_.policy = job_.policy;
  return write_prompt();
}

Status TraceRunner::write_prompt() {
  const BlockLayout& layout = instance_.layout();
  std::vector<bool> near(instance_.num_blocks());
  for (const BlockIndex block : placement_->initial_near()) {
    near[block.value()] = true;
  }
  pages_->keep_pace(false);  // nobody measures it
  const bool last_is_partial = layout.prompt_tokens % layout.block_tokens != 0;
  for (std::uint32_t layer = 0; layer < instance_.layers(); ++layer) {
    for (std::uint32_t id = 0; id < layout.initial_blocks(); ++id) {
      const BlockIndex block = instance_.index(LayerIndex(layer), BlockId(id));
      KVPLACE_TRY(create(block));
      write_new_kv(block, block_bytes_);
      if (near[block.value()]) {
        pages_->make_near(block);
      }
      if (last_is_partial && layout.page(BlockId(id)) + 1 == layout.prompt_pages()) {
        filling(LayerIndex(layer), layout.request(BlockId(id))).push_back(block);
      } else {
        KVPLACE_TRY(pages_->complete(block));
      }
    }
  }
  KVPLACE_TRY(pages_->settle());
  pages_->keep_pace(true);
  pages_->forget_traffic();
  return {};
}

Status TraceRunner::create(BlockIndex block) {
  KVPLACE_ASSIGN(page, pages_->create(block));
  const Stamp stamp{block.value(), 0};
  std::memcpy(page, &stamp, sizeof stamp);
  return {};
}

void TraceRunner::write_new_kv(BlockIndex block, std::size_t bytes) {
  std::byte* const page = pages_->writable(block);
  const Stamp stamp{block.value(), ++versions_[block.value()]};
  std::memcpy(page, &stamp, sizeof stamp);
  // Behind the stamp, as if to the place of the token.
  const std::size_t most = block_bytes_ - sizeof stamp;
  std::memset(page + sizeof stamp, static_cast<int>(stamp.version & 0xff), std::min(bytes, most));
}

/// Blocks that are appended to come to exist; those before them, of the same request, are full.
Status TraceRunner::append(const StepView& record) {
  const BlockLayout& layout = instance_.layout();
  complete_.clear();
  for (std::size_t i = 0; i < record.appended.size(); ++i) {
    const BlockId id = record.appended[i];
    const BlockIndex block = instance_.index(record.layer, id);
    std::vector<BlockIndex>& open = filling(record.layer, layout.request(id));
    if (!pages_->exists(block)) {
      KVPLACE_TRY(create(block));
      open.push_back(block);
    } else if (!pages_->filling(block)) {
      return bad_input(trace_.path() + ": decode step " + std::to_string(record.step.value()) + ", layer " +
                       std::to_string(record.layer.value()) + " appends to block " + std::to_string(id.value()) +
                       " behind which there are others; the runtime fills the blocks of a request in order");
    }
    std::erase_if(open, [&](BlockIndex other) {
      const bool is_before =
          other < block && !std::binary_search(record.appended.begin(), record.appended.end(), instance_.id_of(other));
      if (is_before) {
        complete_.push_back(other);
      }
      return is_before;
    });
    const std::size_t bytes =
        static_cast<std::size_t>(instance_.new_kv_bytes(record, i).value()) * instance_.options().batch;
    write_new_kv(block, bytes);
    result_.channel_bytes[at(Channel::kNearMem)] += static_cast<std::int64_t>(bytes);
  }
  return {};
}

Status TraceRunner::process(const Segment& segment, const SegmentWindow& window, std::uint32_t end_step) {
  for (std::uint32_t t = segment.first_step(); t < std::min(segment.end_step(), end_step); ++t) {
    const double predicted_before = placement_->predicted().total.value();
    const double begin = seconds_now();
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      KVPLACE_TRY(step(segment.view(t, layer), window));
    }
    result_.measured_s.push_back(seconds_now() - begin);
    result_.measured += Seconds(result_.measured_s.back());
    result_.predicted_s.push_back(placement_->predicted().total.value() - predicted_before);
    ++result_.steps;
  }
  return {};
}

Status TraceRunner::step(const StepView& record, const SegmentWindow& window) {
  const double begin = seconds_now();
  KVPLACE_TRY(append(record));
  KVPLACE_TRY(placement_->step(record, window));
  result_.placing += Seconds(seconds_now() - begin);
  reads_.clear();
  std::transform(record.reads.begin(), record.reads.end(), std::back_inserter(reads_),
                 [&](BlockId id) { return instance_.index(record.layer, id); });
  KVPLACE_TRY(pages_->begin_step(reads_, placement_->decision()));
  for (const BlockIndex block : complete_) {
    KVPLACE_TRY(pages_->complete(block));
  }
  const double processor_begin = processor_seconds();
  KVPLACE_TRY(read(reads_));
  result_.reading += Seconds(processor_seconds() - processor_begin);
  read_weights(record.layer, static_cast<std::uint64_t>(instance_.fixed_bytes(record.step, record.layer).value()));
  const double read_end = seconds_now();
  KVPLACE_TRY(pages_->end_step(instance_.groups().ends_group(record.layer)));
  result_.waiting += Seconds(seconds_now() - read_end);
  return {};
}

Status TraceRunner::read(std::span<const BlockIndex> blocks) {
  left_.assign(blocks.begin(), blocks.end());
  if (instance_.options().overlap == Overlap::kNone) {  // stage, then read
    while (!std::all_of(left_.begin(), left_.end(), [&](BlockIndex b) { return pages_->resident(b) != nullptr; })) {
      KVPLACE_TRY(wait());
    }
  }
  while (!left_.empty()) {
    std::size_t kept = 0;
    const std::size_t before = left_.size();
    for (std::size_t i = 0; i < left_.size(); ++i) {
      const std::byte* const page = pages_->resident(left_[i]);
      if (page == nullptr) {
        left_[kept++] = left_[i];
        continue;
      }
      KVPLACE_TRY(read_block(left_[i], page, i + 1 < left_.size() ? pages_->resident(left_[i + 1]) : nullptr));
      pages_->done_reading(left_[i]);
      KVPLACE_TRY(pages_->poll(false));
    }
    left_.resize(kept);
    if (kept == before) {
      KVPLACE_TRY(wait());
    }
  }
  return {};
}

Status TraceRunner::wait() {
  const double begin = seconds_now();
  const double processor_begin = processor_seconds();
  KVPLACE_TRY(pages_->poll(true));
  result_.waiting += Seconds(seconds_now() - begin);
  result_.reading -= Seconds(processor_seconds() - processor_begin);  // read() counts all of its own
  return {};
}

Status TraceRunner::read_block(BlockIndex block, const std::byte* page, const std::byte* next) {
  Stamp stamp{};
  std::memcpy(&stamp, page, sizeof stamp);
  if (stamp.block != block.value() || stamp.version != versions_[block.value()]) {
    return failed("block " + std::to_string(block.value()) + " is not what was written to it: the runtime is wrong");
  }
  sum_ += read_plainly({page, block_bytes_ / kReadUnit * kReadUnit}, next);
  return {};
}

void TraceRunner::read_weights(LayerIndex layer, std::uint64_t bytes) {
  if (weights_ && bytes > 0) {
    const std::uint64_t first = layer.value() * (weight_bytes_ / instance_.layers());
    const std::uint64_t most = std::min(bytes, weight_bytes_ - first);
    sum_ += read_plainly({weights_->data() + first, most / kReadUnit * kReadUnit});
    result_.channel_bytes[at(Channel::kNearMem)] += static_cast<std::int64_t>(most);
  }
}

TraceRun TraceRunner::result() const {
  TraceRun result = result_;
  result.predicted = placement_->predicted();
  result.near_reads = pages_->near_reads();
  result.far_reads = pages_->far_reads();
  result.traffic = pages_->traffic();
  const auto bytes = [&](std::uint64_t pages) { return static_cast<std::int64_t>(pages * block_bytes_); };
  result.channel_bytes[at(Channel::kNearMem)] +=
      bytes(result.near_reads + result.predicted.promotions + result.traffic.of(Moves::kDemote));
  result.channel_bytes[at(Channel::kFarLinkRead)] = bytes(result.traffic.from_far());
  result.channel_bytes[at(Channel::kFarLinkWrite)] = bytes(result.traffic.to_far());
  result.channel_bytes[at(Channel::kFarMem)] = bytes(result.traffic.from_far() + result.traffic.to_far());
  result.near_bytes = pages_->near().capacity() + TieredPages::table_bytes(instance_.num_blocks());
  return result;
}

}  // namespace kvplace
