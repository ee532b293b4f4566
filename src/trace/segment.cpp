#include "kvplace/trace/trace.h"

namespace kvplace {

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

void Segment::set_next_reads(std::vector<std::uint32_t> of_reads, std::vector<std::uint32_t> of_appended) {
  next_read_ = std::move(of_reads);
  next_read_appended_ = std::move(of_appended);
}

}  // namespace kvplace
