/// Which steps time is taken of together (formulation, "Time").
#pragma once

#include <cstddef>
#include <cstdint>

#include "kvplace/base/units.h"

namespace kvplace {

/// Where the two sides wait for each other: after each layer, or only after each token.
enum class Barrier : std::uint8_t { kLayer, kToken };

/// A step tau = (t, layer) by its place in time: t * layers + layer.
using FlatStep = Index<struct FlatStepKind>;
/// A group of steps: one step, or with a barrier per token the steps of all layers of a decode step. In order of time.
using GroupIndex = Index<struct GroupIndexKind>;

/// The only place that asks for the barrier.
class StepGroups {
 public:
  StepGroups() = default;
  StepGroups(std::uint32_t decode_steps, std::uint32_t layers, Barrier barrier)
      : decode_steps_(decode_steps), layers_(layers), layers_per_group_(barrier == Barrier::kToken ? layers : 1) {}

  [[nodiscard]] std::uint32_t layers() const { return layers_; }
  [[nodiscard]] std::uint32_t layers_per_group() const { return layers_per_group_; }
  [[nodiscard]] std::uint32_t groups_per_decode_step() const { return layers_ / layers_per_group_; }
  [[nodiscard]] std::size_t num_steps() const { return std::size_t{decode_steps_} * layers_; }
  [[nodiscard]] std::size_t num_groups() const { return num_steps() / layers_per_group_; }

  [[nodiscard]] FlatStep flat(StepIndex step, LayerIndex layer) const {
    return FlatStep(step.value() * layers_ + layer.value());
  }
  [[nodiscard]] GroupIndex group_of(FlatStep step) const {
    return GroupIndex(layers_per_group_ == 1 ? step.value() : step.value() / layers_per_group_);
  }
  /// True of the step after which the sides wait.
  [[nodiscard]] bool ends_group(LayerIndex layer) const {
    return layers_per_group_ == 1 || layer.value() + 1 == layers_;
  }
  [[nodiscard]] FlatStep first_of(GroupIndex group) const { return FlatStep(group.value() * layers_per_group_); }
  [[nodiscard]] FlatStep last_of(GroupIndex group) const {
    return FlatStep(group.value() * layers_per_group_ + layers_per_group_ - 1);
  }

  bool operator==(const StepGroups&) const = default;

 private:
  std::uint32_t decode_steps_ = 0;
  std::uint32_t layers_ = 1;
  std::uint32_t layers_per_group_ = 1;
};

}  // namespace kvplace
