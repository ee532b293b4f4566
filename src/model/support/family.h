/// Families of models, by the model_type of their config.json. A family is one file in src/model/families/ that defines
/// `void kvplace::register_family_<file name>(FamilyRegistry&)`; its parts are in model/support/parts.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kvplace/model/layers.h"
#include "model/support/hf_config.h"

namespace kvplace {

/// Numbers of parameters. Quantization takes the weights of linear layers only.
struct Weights {
  std::int64_t linear = 0;
  std::int64_t plain = 0;  ///< norms, biases, routers, convolutions: in the model's own dtype

  Weights& operator+=(const Weights& other) {
    linear += other.linear;
    plain += other.plain;
    return *this;
  }
  friend Weights operator+(Weights a, const Weights& b) { return a += b; }
  friend Weights operator*(Weights a, std::int64_t factor) { return {a.linear * factor, a.plain * factor}; }
};

/// One layer: what it keeps (the shape in `kept`; `at` and what weights weigh are filled in later), and its parameters
/// by part, as quantization may leave a part out.
struct ModelLayer {
  LayerGroup kept;
  std::int64_t query_heads = 0;
  std::int64_t states_fp32 = 0;   ///< elements of a state in 4 bytes each
  std::int64_t states_dtype = 0;  ///< elements of a state in the model's own dtype
  Weights attention;              ///< or what stands in its place
  Weights mlp;                    ///< dense, or shared experts beside routed ones
  bool mlp_is_shared = false;
  Weights rest;  ///< norms and the like
  Weights expert;
  std::int64_t experts = 0;
  std::int64_t experts_per_token = 0;
};

struct ModelShape {
  std::vector<ModelLayer> layers;
  Weights outside;  ///< embedding, head, last norm
  std::int64_t sparse_top_k = 0;
};

/// Its words are literals.
struct Family {
  std::vector<std::string_view> model_types;
  std::string_view doc;  ///< the models people know it by
  /// Errors are left in the config.
  void (*read)(const HfConfig& config, ModelShape& shape) = nullptr;
};

class FamilyRegistry {
 public:
  /// All of the library.
  [[nodiscard]] static const FamilyRegistry& instance();

  void add(Family family) { families_.push_back(std::move(family)); }
  [[nodiscard]] std::span<const Family> families() const { return families_; }
  /// Null if none is of that model_type.
  [[nodiscard]] const Family* find(std::string_view model_type) const;

 private:
  std::vector<Family> families_;
};

}  // namespace kvplace
