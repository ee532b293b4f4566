/// How often blocks are read that only just keep their place, by layer. Values are fitted over all layers of one model;
/// where a layer's blocks are read more often than their values say, on the margin where it decides, its values rise.
///
/// At the least misses a place moved from one layer to another gains nothing: so marginal blocks of all layers should
/// be equally likely to be read.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

class MarginalReads {
 public:
  void start(std::uint32_t layers) {
    layers_.assign(layers, {});
    all_ = {};
    fade_all_ = std::pow(kFade, 1.0 / layers);
    leaving_value_ = 0;
    any_left_ = false;
  }
  /// What to add to the values of a layer: ln of its chance on the margin over that of all layers.
  [[nodiscard]] float bias(LayerIndex layer) const { return layers_[layer.value()].bias; }
  /// Blocks with less, worth and bias added, are on the margin.
  [[nodiscard]] float limit() const { return leaving_value_ + kMargin; }

  /// A block leaves that has this value, worth and bias added.
  void block_leaves(float value) {
    leaving_value_ = any_left_ ? leaving_value_ + kNewShare * (value - leaving_value_) : value;
    any_left_ = true;
  }
  /// A step of the layer read so many of the blocks that were on the margin before it.
  void learn(LayerIndex layer, std::size_t blocks, std::size_t reads) {
    Counts& own = layers_[layer.value()].counts;
    own.add(kFade, blocks, reads);
    all_.add(fade_all_, blocks, reads);
    const double chance = (all_.reads + 1) / (all_.blocks + kFirstBlocks);
    layers_[layer.value()].bias =
        static_cast<float>(std::log((own.reads + kFirstBlocks * chance) / (own.blocks + kFirstBlocks) / chance));
  }

 private:
  static constexpr double kFade = 0.995;       // of a layer's counts, per step
  static constexpr double kFirstBlocks = 200;  // as if seen before, and read as in all layers
  static constexpr float kMargin = 1;
  static constexpr float kNewShare = 0.05F;  // of the latest in the value at which blocks leave

  struct Counts {
    double blocks = 0;
    double reads = 0;
    void add(double fade, std::size_t more_blocks, std::size_t more_reads) {
      blocks = blocks * fade + static_cast<double>(more_blocks);
      reads = reads * fade + static_cast<double>(more_reads);
    }
  };
  struct Layer {
    Counts counts;
    float bias = 0;
  };
  std::vector<Layer> layers_;
  Counts all_;
  double fade_all_ = 1;
  float leaving_value_ = 0;
  bool any_left_ = false;
};

}  // namespace kvplace
