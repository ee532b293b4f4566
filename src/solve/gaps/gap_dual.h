/// The dual of the inclusive mode: prices of channels and of near capacity, and the bound they give (docs/bound.md).
#pragma once

#include <span>
#include <vector>

#include "kvplace/bound/certificate.h"
#include "solve/gaps/gap_value.h"
#include "solve/prices/dual_prices.h"

namespace kvplace {

class GapDual {
 public:
  /// The credit for whole blocks belongs to the claim `step` alone.
  GapDual(const Instance& instance, const GapClasses& classes, unsigned threads, Claim claim = Claim::kStep);

  [[nodiscard]] bool credits() const { return credits_; }

  /// The bound in seconds, less at most what passive promotions cost near memory, which gap classes leave out.
  [[nodiscard]] double operator()(const DualPrices& prices);

  [[nodiscard]] const std::vector<PriceForm>& forms() const { return forms_; }
  [[nodiscard]] const StepGroups& groups() const { return groups_; }
  [[nodiscard]] double capacity_bytes() const { return capacity_; }
  /// Time of a form in a group when all that either side may serve is read from near and nothing moves, in seconds.
  [[nodiscard]] double fixed_time(std::size_t group, std::size_t form) const {
    return fixed_times_[group * forms_.size() + form] + read_bytes_[group] * forms_[form].near_read;
  }
  /// Of one request, that either side may serve.
  [[nodiscard]] double read_bytes(std::size_t group) const { return read_bytes_[group]; }
  /// fixed_time() of a mixture of forms, whose shares may sum to less than 1, with the credit for whole blocks: what a
  /// group is worth beside what its blocks pay.
  [[nodiscard]] double worth(std::size_t group, std::span<const double> mixture) const;
  /// What a group is worth by the credit alone at prices of near and far reads, seconds per byte of one request, and
  /// its slope in them.
  struct Credit {
    double time = 0;
    double over_link = 0;  ///< blocks that come over the link where the group's time beyond the prices is least
    double entered = 0;    ///< what the form that tells this time takes off for their writes to near memory, in blocks
  };
  [[nodiscard]] Credit credit(std::size_t group, double near, double far_read) const;
  /// Adds what each further block that is missed in a group costs, in shares of what it costs in `form`, as long as
  /// that is between 0 and 1: the shares of its price at which another number of misses becomes the cheapest.
  void add_scales(std::size_t group, std::size_t form, std::vector<double>& scales) const;

 private:
  /// A mixture's costs per byte of one request.
  struct Mixed {
    double fixed = 0;
    double near = 0;
    double far_read = 0;
    double near_read = 0;
  };

  /// What a group takes by a form more than the prices say of blocks, by how many of these come over the link, missed
  /// or promoted as is worse.
  struct Line {
    double at_none = 0;
    double per_byte = 0;
    double entries = 0;  ///< as in Credit, per block
  };
  using Lines = std::vector<Line>;

  [[nodiscard]] Mixed mixed(std::size_t group, std::span<const double> mixture) const;
  [[nodiscard]] Lines lines_beyond(std::size_t group, const Mixed& priced) const;
  /// The most that a line tells, and that line; 0 and none if all are below.
  [[nodiscard]] Credit highest(const Lines& lines, double blocks) const;
  /// The whole number of blocks at which that is least.
  [[nodiscard]] double least_blocks(const Lines& lines) const;

  std::vector<PriceForm> forms_;
  std::vector<std::size_t> credited_;  // the forms that the verifier knows
  StepGroups groups_;
  bool split_;
  bool credits_;
  double capacity_;
  double overhead_;
  double block_bytes_;  // that all blocks are multiples of
  double most_blocks_;
  std::vector<double> fixed_times_;  // [group * forms + form], without reads that either side may serve
  std::vector<double> read_bytes_;   // [group], of those
  std::vector<std::uint8_t> whole_;  // [group]: they are of whole blocks
  GapValue gaps_;
  GapPrices gap_prices_;
};

}  // namespace kvplace
