#include <algorithm>
#include <utility>

#include "kvplace/trace/trace.h"

namespace kvplace {

BlockLayout BlockLayout::of(std::shared_ptr<const ServedRequests> served, std::uint32_t experts,
                            std::uint32_t block_tokens) {
  BlockLayout layout;
  layout.experts = experts;
  layout.requests = static_cast<std::uint32_t>(served->all().size());
  layout.block_tokens = block_tokens;
  for (const ServedRequest& request : served->all()) {
    layout.prompt_tokens = std::max(layout.prompt_tokens, request.prompt_tokens);
  }
  layout.served = std::move(served);
  return layout;
}

std::vector<StepTokens> tokens_of(const ServedRequests& served) {
  std::vector<StepTokens> tokens;
  for (std::uint32_t step = 0; step < served.steps(); ++step) {
    const auto running = static_cast<std::uint32_t>(served.running(step).size());
    tokens.push_back({running, running});
  }
  return tokens;
}

std::uint64_t TraceTotals::tokens_before(std::uint32_t step) const {
  if (step_tokens == nullptr) {
    return step;
  }
  std::uint64_t tokens = 0;
  for (std::uint32_t t = 0; t < step; ++t) {
    tokens += (*step_tokens)[t].decoded;
  }
  return tokens;
}

double TraceTotals::verified_per_step() const {
  if (step_tokens == nullptr || step_tokens->empty()) {
    return 1;
  }
  double verified = 0;
  for (const StepTokens& tokens : *step_tokens) {
    verified += tokens.verified;
  }
  return verified / static_cast<double>(step_tokens->size());
}

StepView Segment::view(std::uint32_t step, std::uint32_t layer) const {
  const std::size_t record = std::size_t{step - first_step()} * layers_ + layer;
  const Offsets& from = begin_[record];
  const Offsets& to = begin_[record + 1];
  StepView view;
  view.step = StepIndex(step);
  view.layer = LayerIndex(layer);
  view.reads = {reads_.data() + from.reads, to.reads - from.reads};
  view.appended = {appended_.data() + from.appended, to.appended - from.appended};
  view.ranking = {ranking_.data() + from.ranking, to.ranking - from.ranking};
  if (!read_bytes_.empty()) {
    view.read_bytes = {read_bytes_.data() + from.reads, view.reads.size()};
  }
  if (!next_read_.empty()) {
    view.next_read = {next_read_.data() + from.reads, view.reads.size()};
  }
  if (!next_read_appended_.empty()) {
    view.next_read_appended = {next_read_appended_.data() + from.appended, view.appended.size()};
  }
  if (!step_tokens_.empty()) {
    view.tokens = step_tokens_[step - first_step()];
    view.written_tokens = {written_tokens_.data() + from.appended, view.appended.size()};
  }
  return view;
}

void Segment::add(std::span<const BlockId> reads, std::span<const BlockId> appended, std::span<const BlockId> ranking,
                  std::span<const std::uint32_t> read_bytes) {
  reads_.insert(reads_.end(), reads.begin(), reads.end());
  appended_.insert(appended_.end(), appended.begin(), appended.end());
  ranking_.insert(ranking_.end(), ranking.begin(), ranking.end());
  read_bytes_.insert(read_bytes_.end(), read_bytes.begin(), read_bytes.end());
  begin_.push_back({reads_.size(), appended_.size(), ranking_.size()});
}

void Segment::set_tokens(std::vector<StepTokens> of_steps, std::vector<std::uint32_t> written) {
  step_tokens_ = std::move(of_steps);
  written_tokens_ = std::move(written);
}

void Segment::set_next_reads(std::vector<std::uint32_t> of_reads, std::vector<std::uint32_t> of_appended) {
  next_read_ = std::move(of_reads);
  next_read_appended_ = std::move(of_appended);
}

}  // namespace kvplace
