#include "size/search_progress.h"

#include <algorithm>

namespace kvplace {

void SearchProgress::begin_part(double passes, double left) {
  if (all_passes_ == 0) {
    all_passes_ = passes + left;
    if (progress_ != nullptr) {
      progress_->start(what_, static_cast<std::uint64_t>(static_cast<double>(reads_) * all_passes_), unit_);
    }
  }
  end_of_part_ = share_ + (1 - share_) * passes / (passes + left);
}

void SearchProgress::end_part() {
  share_ = end_of_part_;
  show();
}

void SearchProgress::close() {
  if (progress_ != nullptr && all_passes_ > 0) {
    progress_->finish();
  }
  all_passes_ = 0;
}

/// How many stages a part has is not known: each takes half of what is left of it.
void SearchProgress::start(std::string_view /*what*/, std::uint64_t total, std::string_view /*unit*/) {
  begin_of_stage_ = share_;
  end_of_stage_ = (share_ + end_of_part_) / 2;
  stage_total_ = total;
}

void SearchProgress::update(std::uint64_t done) {
  if (stage_total_ > 0) {
    const double part = static_cast<double>(std::min(done, stage_total_)) / static_cast<double>(stage_total_);
    share_ = std::max(share_, begin_of_stage_ + part * (end_of_stage_ - begin_of_stage_));
    show();
  }
}

void SearchProgress::finish() { share_ = std::max(share_, end_of_stage_); }

void SearchProgress::show() const {
  if (progress_ != nullptr && all_passes_ > 0) {
    progress_->update(static_cast<std::uint64_t>(share_ * all_passes_ * static_cast<double>(reads_)));
  }
}

}  // namespace kvplace
