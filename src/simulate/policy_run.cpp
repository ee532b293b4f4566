#include "simulate/policy_run.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

/// What the policy is told of the step's ranking.
template <class Policy>
std::span<const BlockId> best_ranked(const Policy& policy, const StepView& record) {
  return record.ranking.first(std::min(policy.depth(record.reads.size()), record.ranking.size()));
}

}  // namespace

PolicyRun::PolicyRun(const ReplayJob& job) : instance_(*job.instance), job_(job) {
  result_.policy = job.policy;
  result_.far_reads_by_layer.assign(instance_.layers(), 0);
}

std::uint32_t PolicyRun::horizon() const {
  const auto* policy = std::get_if<std::unique_ptr<LookaheadPolicy>>(&policy_);
  return policy != nullptr ? (*policy)->horizon() : 0;
}

bool PolicyRun::needs_next_reads() const {
  return result_.information == Information::kOracle && job_.schedule == nullptr;
}

bool PolicyRun::needs_ranking() const {
  const auto* lookahead = std::get_if<std::unique_ptr<LookaheadPolicy>>(&policy_);
  const bool is_told = lookahead != nullptr ? (*lookahead)->depth(1) > 0 : result_.information == Information::kRanked;
  return is_told && job_.schedule == nullptr;
}

Error PolicyRun::broken(const std::string& place, const std::string& what) const {
  const bool stored = job_.schedule != nullptr;
  return {stored ? ErrorKind::kRejected : ErrorKind::kFailed,
          (stored ? "the schedule" : "policy " + job_.policy.name) + " breaks a rule at " + place + ": " + what};
}

Error PolicyRun::broken(const StepView& record, const std::string& what) const {
  return broken(
      "decode step " + std::to_string(record.step.value()) + ", layer " + std::to_string(record.layer.value()), what);
}

Status PolicyRun::prepare() {
  if (job_.schedule == nullptr) {
    KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(job_.policy.name));
    result_.information = info->information;
    policy_ = info->make(job_.policy.parameters);
    if (info->information == Information::kLookahead) {
      told_.emplace(horizon(), job_.policy.parameters.at("accuracy"), instance_.options().seed, instance_.layers());
    }
  }
  return {};
}

Status PolicyRun::start(std::span<const std::uint32_t> first_reads, bool has_ranking) {
  const Instance& instance = instance_;
  state_.assign(instance.num_blocks(), 0);
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    const auto first =
        state_.begin() + static_cast<std::ptrdiff_t>(instance.index(LayerIndex(layer), BlockId(0)).value());
    std::fill(first, first + instance.layout().initial_blocks(), kExists);
  }
  if (!instance.reads_whole_pages()) {
    missed_bytes_.assign(instance.num_blocks(), 0);
  }
  if (instance.options().copies == Copies::kBackground) {
    copies_.emplace(instance.num_blocks());
  }
  const bool free_start = instance.options().start == Start::kFree;
  if (!free_start) {
    initial_near_ = instance.initial_near();
  }
  const PolicyContext context{&instance, initial_near_, has_ranking};
  if (job_.schedule != nullptr) {
    KVPLACE_ASSIGN(stored, job_.schedule->initial_near());
    if (!free_start) {
      std::vector<BlockIndex> given = initial_near_;
      std::vector<BlockIndex> wanted = stored;
      std::sort(given.begin(), given.end());
      std::sort(wanted.begin(), wanted.end());
      if (given != wanted) {
        return tl::unexpected(broken("the start", "it begins with another placement than --start " +
                                                      to_text(instance.options().start) + " gives"));
      }
    }
    initial_near_ = std::move(stored);
  } else if (auto* oracle = std::get_if<std::unique_ptr<OraclePolicy>>(&policy_)) {
    std::vector<BlockIndex> chosen = (*oracle)->start(context, first_reads);
    if (free_start) {
      initial_near_ = std::move(chosen);
    }
  } else {
    std::visit(
        [&]<class P>(std::unique_ptr<P>& policy) {
          if constexpr (!std::is_same_v<P, OraclePolicy>) {
            policy->start(context);
          }
        },
        policy_);
  }
  for (const BlockIndex block : initial_near_) {
    if (block.value() >= state_.size() || state_[block.value()] != kExists) {
      return tl::unexpected(
          broken("the start", "block " + std::to_string(block.value()) + " does not exist or is named twice"));
    }
    state_[block.value()] = kExists | kNear;
    occupied_ += instance.block_bytes(block);
  }
  near_blocks_ = initial_near_.size();
  result_.peak_near_blocks = near_blocks_;
  if (occupied_ > instance.capacity()) {
    return tl::unexpected(broken("the start", "more is near than its capacity"));
  }
  return job_.observer != nullptr ? job_.observer->on_start(initial_near_) : Status();
}

Status PolicyRun::process(const Segment& segment, const SegmentWindow& window) {
  const bool ideal = std::holds_alternative<std::unique_ptr<IdealPolicy>>(policy_) && job_.schedule == nullptr;
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    if (ideal) {
      process_ideal_step(segment, step);
    } else {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        KVPLACE_TRY(process_step(segment.view(step, layer), window));
      }
    }
    end_decode_step(step);
  }
  return {};
}

void PolicyRun::end_decode_step(std::uint32_t step) {
  ++result_.steps;
  if (instance_.layout().served != nullptr) {
    token_times_.end_step(static_cast<std::uint32_t>(instance_.layout().served->running(step).size()));
  }
}

Status PolicyRun::process_next(const StepView& record, const SegmentWindow& window) {
  KVPLACE_TRY(process_step(record, window));
  if (record.layer.value() + 1 == instance_.layers()) {
    end_decode_step(record.step.value());
  }
  return {};
}

Status PolicyRun::process_step(const StepView& record, const SegmentWindow& window) {
  mark_appended(record);
  if (record.next_read.empty()) {
    partition_reads<false>(record);
  } else {
    partition_reads<true>(record);
  }
  find_hits_in_flight();
  const std::size_t num_far = num_misses_ + hits_in_flight_.size();
  const std::size_t num_near = record.reads.size() - num_far;
  result_.reads += record.reads.size();
  result_.near_reads += num_near;
  result_.far_reads += num_far;
  result_.far_reads_by_layer[record.layer.value()] += num_far;

  Loads loads;
  if (instance_.reads_whole_pages()) {
    const Bytes size = instance_.kv_block_bytes(record.layer);
    const auto near = static_cast<std::int64_t>(num_near);
    const auto far = static_cast<std::int64_t>(num_far);
    loads.add(Transfer::kReadNear, size * near, near);
    loads.add(Transfer::kReadFar, size * far, far);
  } else {
    add_reads_in_bytes(record, loads);
  }
  const StepTraffic traffic = instance_.traffic(record);
  // What far could serve as well; a block appended to in this step is read near by rule.
  const MovableBytes mirrored{Bytes(loads.on(Channel::kNearMem)) - traffic.reads_appended,
                              static_cast<std::int64_t>(num_near) - traffic.num_reads_appended};
  end_requests(record);
  KVPLACE_TRY(decide(record, window, loads));
  KVPLACE_TRY(apply(record, loads));
  keep_bytes_read();
  add_new_kv(record, true, loads);
  clear_marks(record);
  charge(record, traffic, loads, mirrored);
  return job_.observer != nullptr ? job_.observer->on_step(record.step, record.layer, decision_) : Status();
}

void PolicyRun::mark_appended(const StepView& record) {
  written_.clear();
  next_of_written_.clear();
  written_is_new_.clear();
  was_near_.clear();
  for (std::size_t i = 0; i < record.appended.size(); ++i) {
    const BlockIndex block = instance_.index(record.layer, record.appended[i]);
    std::uint8_t& state = state_[block.value()];
    state = static_cast<std::uint8_t>(state | kAppendedMark | ((state & kExists) != 0 ? 0 : kExists | kNewbornMark));
    was_near_.push_back(is_near(state) ? 1 : 0);
    if ((state & kNear) == 0) {
      written_.push_back(block);
      const bool arrives = !record.written_tokens.empty() && record.written_tokens[i] == 0;
      written_is_new_.push_back((state & kNewbornMark) == 0 ? 0 : arrives ? kPageArrived : kPageBegun);
      if (!record.next_read_appended.empty()) {
        next_of_written_.push_back(record.next_read_appended[i]);
      }
    }
  }
}

template <bool with_next_reads>
void PolicyRun::partition_reads(const StepView& record) {
  const std::size_t num_reads = record.reads.size();
  if (hits_.size() < num_reads) {
    hits_.resize(num_reads);
    misses_.resize(num_reads);
    next_of_hits_.resize(num_reads);
    next_of_misses_.resize(num_reads);
  }
  const std::uint32_t base = instance_.index(record.layer, BlockId(0)).value();
  const std::uint8_t* const state = state_.data() + base;
  std::size_t num_hits = 0;
  std::size_t num_misses = 0;
  // Both lists are written and one counter moves: no branch to mispredict.
  for (std::size_t i = 0; i < num_reads; ++i) {
    const std::uint32_t id = record.reads[i].value();
    const std::uint8_t s = state[id];
    hits_[num_hits] = BlockIndex(base + id);
    misses_[num_misses] = BlockIndex(base + id);
    if constexpr (with_next_reads) {
      next_of_hits_[num_hits] = record.next_read[i];
      next_of_misses_[num_misses] = record.next_read[i];
    }
    num_hits += s & kNear;
    num_misses += (s & (kNear | kAppendedMark)) == 0 ? 1 : 0;
  }
  num_hits_ = num_hits;
  num_misses_ = num_misses;
  for (std::size_t i = 0; i < num_misses; ++i) {
    state_[misses_[i].value()] |= kMissedMark;
  }
}

void PolicyRun::add_reads_in_bytes(const StepView& record, Loads& loads) {
  for (std::size_t i = 0; i < record.reads.size(); ++i) {
    const BlockIndex block = instance_.index(record.layer, record.reads[i]);
    const std::uint8_t state = state_[block.value()];
    const Bytes size = instance_.bytes_of_read(record, i);
    if ((state & kMissedMark) != 0 || (state & (kInFlight | kAppendedMark)) == kInFlight) {
      loads.add(Transfer::kReadFar, size, 1);
      missed_bytes_[block.value()] = static_cast<std::uint32_t>(std::min<std::int64_t>(size.value(), 0xffffffff));
    } else {
      loads.add(Transfer::kReadNear, size, 1);
    }
  }
}

Status PolicyRun::decide(const StepView& record, const SegmentWindow& window, const Loads& loads) {
  decision_.clear();
  if (job_.schedule != nullptr) {
    return job_.schedule->next(record.step, record.layer, decision_);
  }
  StepInput input;
  input.step = record.step;
  input.layer = record.layer;
  input.hits = std::span(hits_).first(num_hits_);
  input.misses = std::span(misses_).first(num_misses_);
  input.written = written_;
  input.written_is_new = written_is_new_;
  input.ended = ended_;
  input.loads = loads;
  input.copies_in_flight = copies_ ? copies_->in_flight() : 0;
  add_new_kv(record, false, input.loads);
  input.loads = input.loads * std::int64_t{instance_.options().batch};
  input.loads += instance_.fixed_loads(record.step, record.layer);
  if (auto* causal = std::get_if<std::unique_ptr<CausalPolicy>>(&policy_)) {
    (*causal)->step(input, decision_);
  } else if (auto* ranked = std::get_if<std::unique_ptr<RankedPolicy>>(&policy_)) {
    (*ranked)->step(input, best_ranked(**ranked, record), decision_);
  } else if (auto* lookahead = std::get_if<std::unique_ptr<LookaheadPolicy>>(&policy_)) {
    told_->move_to(window, record.step.value(), best_ranked(**lookahead, record));
    (*lookahead)->step(input, *told_, decision_);
  } else if (auto* oracle = std::get_if<std::unique_ptr<OraclePolicy>>(&policy_)) {
    const NextReadsView next{std::span(next_of_hits_).first(num_hits_), std::span(next_of_misses_).first(num_misses_),
                             next_of_written_};
    (*oracle)->step(input, next, decision_);
  }
  return {};
}

Status PolicyRun::apply(const StepView& record, Loads& loads) {
  for (const BlockIndex block : decision_.evict) {
    if (block.value() >= state_.size() || (state_[block.value()] & kNear) == 0) {
      return tl::unexpected(broken(record, "block " + std::to_string(block.value()) + " is evicted but not near"));
    }
    evict(block, loads);
  }
  for (const BlockIndex block : decision_.promote) {
    if (block.value() >= state_.size() || (state_[block.value()] & (kNear | kExists)) != kExists) {
      return tl::unexpected(broken(
          record, "block " + std::to_string(block.value()) + " is promoted but is near already or does not exist"));
    }
    if ((state_[block.value()] & kEvictedMark) != 0) {
      return tl::unexpected(broken(record, "block " + std::to_string(block.value()) + " is both evicted and promoted"));
    }
    promote(block, loads);
  }
  result_.peak_near_blocks = std::max(result_.peak_near_blocks, near_blocks_);
  if (occupied_ > instance_.capacity()) {
    return tl::unexpected(broken(record, std::to_string(occupied_.value()) + " bytes are near, the capacity is " +
                                             std::to_string(instance_.capacity().value())));
  }
  return {};
}

void PolicyRun::evict(BlockIndex block, Loads& loads) {
  std::uint8_t& state = state_[block.value()];
  const bool in_flight = (state & kInFlight) != 0;
  state = static_cast<std::uint8_t>((state & ~(kNear | kInFlight)) | kEvictedMark);
  const Bytes size = instance_.block_bytes(block);
  occupied_ -= size;
  --near_blocks_;
  ++result_.evictions;
  if (in_flight) {
    copies_->take(block, copies_->left(block));
  } else if (instance_.options().mode == Mode::kExclusive) {
    ++result_.demotions;
    loads.add(Transfer::kDemote, size, 1);
  }
}

void PolicyRun::promote(BlockIndex block, Loads& loads) {
  std::uint8_t& state = state_[block.value()];
  const Bytes size = instance_.block_bytes(block);
  state |= kNear;
  occupied_ += size;
  ++near_blocks_;
  if ((state & kNewbornMark) != 0) {
    return;  // its bytes are the new KV, which is charged as such
  }
  ++result_.promotions;
  const Bytes read = (state & kMissedMark) != 0 ? bytes_read(block) : Bytes(0);
  if (!copies_) {
    loads.add_promotion(size, read);
    return;
  }
  loads.add_promotion(read, read);
  if (size > read) {
    state |= kInFlight;
    copies_->issue(block, (size - read) * std::int64_t{instance_.options().batch});
  }
}

void PolicyRun::add_new_kv(const StepView& record, bool decided, Loads& loads) const {
  for (std::size_t i = 0; i < record.appended.size(); ++i) {
    const Bytes size = instance_.new_kv_bytes(record, i);
    const std::int64_t count = size.value() > 0 ? 1 : 0;
    const std::uint8_t state = state_[instance_.index(record.layer, record.appended[i]).value()];
    // Exclusive: to the side the block is on; a newborn block is on the side it was put.
    const bool near_if_new = !decided || (state & kNear) != 0;
    const bool near = (state & kNewbornMark) != 0 ? near_if_new : was_near_[i] != 0;
    const bool both = instance_.options().mode == Mode::kInclusive;
    if (both || near) {
      loads.add(Transfer::kWriteNear, size, count);
    }
    if (both || !near) {
      loads.add(Transfer::kWriteFar, size, count);
    }
  }
}

void PolicyRun::clear_marks(const StepView& record) {
  constexpr std::uint8_t kLasting = kNear | kExists | kInFlight;
  for (std::size_t i = 0; i < num_misses_; ++i) {
    state_[misses_[i].value()] &= kLasting;
  }
  for (const BlockId id : record.appended) {
    state_[instance_.index(record.layer, id).value()] &= kLasting;
  }
  for (const BlockIndex block : decision_.evict) {
    state_[block.value()] &= kLasting;
  }
}

void PolicyRun::charge(const StepView& record, const StepTraffic& traffic, const Loads& kv_loads,
                       const MovableBytes& mirrored) {
  const std::int64_t batch = instance_.options().batch;
  open_loads_ += kv_loads * batch;
  open_loads_ += instance_.fixed_loads(record.step, record.layer);
  open_mirrored_ += mirrored * batch;
  result_.read_bytes += traffic.reads.value() * batch + instance_.fixed_bytes(record.step, record.layer).value();
  if (instance_.groups().ends_group(record.layer)) {
    close_group();
  }
}

void PolicyRun::process_ideal_step(const Segment& segment, std::uint32_t step) {
  // The share is of the whole decode step's bytes; weights and KV of a layer are divided alike.
  const std::int64_t batch = instance_.options().batch;
  Bytes total;
  for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
    total += instance_.fixed_bytes(StepIndex(step), LayerIndex(layer)) +
             instance_.traffic(segment.view(step, layer)).reads * batch;
  }
  const double near_share = std::get<std::unique_ptr<IdealPolicy>>(policy_)->near_share(total);
  for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
    const StepView record = segment.view(step, layer);
    const StepTraffic traffic = instance_.traffic(record);
    const Bytes weights = instance_.fixed_bytes(record.step, record.layer);
    const Bytes bytes = traffic.reads * batch + weights;
    const Bytes far(static_cast<std::int64_t>(static_cast<double>(bytes.value()) * (1 - near_share)));
    // Weights count as the nearest bytes, so far bytes are KV first.
    const Bytes kv = traffic.reads * batch;
    const double far_of_kv = kv.value() == 0 ? 0 : std::min(1.0, far / kv);
    const auto far_reads =
        static_cast<std::uint64_t>(std::llround(static_cast<double>(record.reads.size()) * far_of_kv));
    const auto num_far = static_cast<std::int64_t>(far_reads) * batch;
    open_loads_.add(Transfer::kReadNear, bytes - far, traffic.num_reads * batch - num_far);
    open_loads_.add(Transfer::kReadFar, far, num_far);
    open_loads_.add(Transfer::kWriteNear, traffic.new_kv * batch, traffic.num_new_kv * batch);
    if (instance_.options().mode == Mode::kInclusive) {
      open_loads_.add(Transfer::kWriteFar, traffic.new_kv * batch, traffic.num_new_kv * batch);
    }
    result_.reads += record.reads.size();
    result_.far_reads += far_reads;
    result_.near_reads += record.reads.size() - far_reads;
    result_.far_reads_by_layer[layer] += far_reads;
    result_.read_bytes += bytes.value();
    if (instance_.groups().ends_group(record.layer)) {
      close_group();
    }
  }
}

ReplayResult PolicyRun::result() const {
  ReplayResult result = result_;
  if (instance_.layout().served != nullptr) {
    result.token_times = {token_times_.quantile(0.5), token_times_.quantile(0.99)};
  }
  const double seconds = result.total.value();
  if (seconds > 0) {
    const StepTime& step_time = instance_.step_time();
    result.tokens_per_second = instance_.tokens_decoded(result.steps) / seconds;
    result.aggregate_bytes_per_second = static_cast<double>(result.read_bytes) / seconds;
    result.aggregate_utilization = result.aggregate_bytes_per_second / (step_time.bandwidth(Channel::kNearMem).value() +
                                                                        step_time.far_read_bandwidth().value());
  }
  return result;
}

}  // namespace kvplace
