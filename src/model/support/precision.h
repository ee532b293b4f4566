/// What weights weigh: the model's dtype, and what quantization_config makes of its linear layers.
#pragma once

#include <string>
#include <vector>

#include "model/support/family.h"

namespace kvplace {

class Precision {
 public:
  /// Errors are left in the config. Scales of fp8 are not counted (they are 1/4096 of it), those of 4-bit formats are.
  explicit Precision(const HfConfig& config);

  /// `part`: "self_attn", "mlp", "shared_experts" or "experts", whose modules a quantization may leave out.
  [[nodiscard]] Bytes of(const Weights& weights, const std::string& part) const;
  [[nodiscard]] std::int64_t dtype_bytes() const { return dtype_bytes_; }
  /// "bf16", "fp8", "mxfp4", ...: what the linear layers are in.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  [[nodiscard]] bool quantized(const std::string& part) const;

  std::int64_t dtype_bytes_ = 2;
  std::int64_t bits_x32_ = 0;         ///< of 32 weights of a quantized linear layer; 0: none is
  std::int64_t expert_bits_x32_ = 0;  ///< of routed experts, where they differ
  std::vector<std::string> left_out_;
  std::string name_;
};

}  // namespace kvplace
