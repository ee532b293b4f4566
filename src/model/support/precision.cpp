#include "model/support/precision.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kGroup = 32;

/// Bits of 32 weights, with a scale of `scale_bits` for each `group`.
std::int64_t bits_of_32(std::int64_t bits, std::int64_t scale_bits, std::int64_t group) {
  return kGroup * bits + scale_bits * kGroup / std::max<std::int64_t>(1, group);
}

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const Json& json, const char* key, std::int64_t otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : otherwise;
}

/// Of compressed-tensors: the weights of its first group.
const Json* weights_of_group(const Json& quantization) {
  const auto groups = quantization.find("config_groups");
  if (groups == quantization.end() || !groups->is_object() || groups->empty()) {
    return nullptr;
  }
  const Json& first = *groups->begin();
  const auto weights = first.is_object() ? first.find("weights") : first.end();
  return weights != first.end() && weights->is_object() ? &*weights : nullptr;
}

/// Of GPTQ and AWQ; a group of -1 is a whole column, whose scale counts for nothing. 0 if they are not sane.
std::int64_t bits_of_integers(std::int64_t bits, std::int64_t group) {
  constexpr std::int64_t kScaleBits = 16;
  if (bits < 1 || bits > 16 || group == 0 || group < -1) {
    return 0;
  }
  return bits_of_32(bits, group > 0 ? kScaleBits : 0, group);
}

/// 0 if the method is not known.
std::int64_t bits_of(const Json& quantization, const std::string& method) {
  constexpr std::int64_t kScale16 = 16;
  if (method == "fp8" || method == "fbgemm_fp8") {
    return bits_of_32(8, 0, kGroup);
  }
  if (method == "mxfp4") {
    return bits_of_32(4, 8, 32);
  }
  if (method == "gptq" || method == "awq" || method == "auto-round") {
    return bits_of_integers(number_of(quantization, "bits", 4), number_of(quantization, "group_size", 128));
  }
  if (method == "modelopt" || method == "modelopt_fp4" || method == "nvfp4") {
    const std::string algorithm = text_of(quantization, "quant_algo");
    return algorithm == "FP8" ? bits_of_32(8, 0, kGroup) : bits_of_32(4, 8, 16);
  }
  if (method == "compressed-tensors") {
    const Json* weights = weights_of_group(quantization);
    if (weights == nullptr) {
      return 0;
    }
    const std::int64_t bits = number_of(*weights, "num_bits", 0);
    const std::int64_t group = number_of(*weights, "group_size", 0);
    const bool is_float = text_of(*weights, "type") == "float";
    return bits <= 0 || bits > 16
               ? 0
               : bits_of_32(bits, group > 0 ? (is_float ? 8 : kScale16) : 0, std::max<std::int64_t>(1, group));
  }
  return 0;
}

/// Whether a pattern of modules that stay as they are covers a part of every layer. Patterns are prefixes, names with
/// "*", or regular expressions ("re:.*self_attn.*"); those of single layers (a number) cover no part.
bool covers(std::string_view pattern, const std::string& part) {
  std::string plain;
  for (const char c : pattern) {
    if (c != '\\') {
      plain += c;
    }
  }
  if (part == "shared_experts") {
    return plain.find("shared_expert") != std::string::npos;
  }
  if (part == "mlp") {
    return plain.find("mlp.(gate") != std::string::npos || plain.find("mlp.gate_proj") != std::string::npos ||
           plain.ends_with("mlp*") || plain.ends_with("mlp.*");
  }
  if (part == "experts") {
    const bool shared = plain.find("shared_expert") != std::string::npos;
    return !shared && (plain.ends_with("experts") || plain.find("experts.") != std::string::npos);
  }
  return plain.find(part) != std::string::npos ||
         (part == "self_attn" && plain.find("linear_attn") != std::string::npos);
}

bool names_one_layer(std::string_view pattern) {
  const std::size_t layers = pattern.find("layers.");
  return layers != std::string_view::npos && layers + 7 < pattern.size() && pattern[layers + 7] >= '0' &&
         pattern[layers + 7] <= '9';
}

}  // namespace

Precision::Precision(const HfConfig& config) {
  const std::string older = config.text("torch_dtype", "");
  const std::string dtype = config.text("dtype", older.empty() ? "bfloat16" : older);
  if (!older.empty() && older != dtype) {
    config.fail("dtype " + in_quotes(dtype) + " contradicts torch_dtype " + in_quotes(older) +
                ": leave one of them out");
  }
  if (dtype == "float32") {
    dtype_bytes_ = 4;
  } else if (dtype != "bfloat16" && dtype != "float16" && dtype != "auto") {
    config.fail("dtype " + in_quotes(dtype) + " is none of bfloat16, float16, float32");
  }
  name_ = dtype == "float32" ? "fp32" : dtype == "float16" ? "fp16" : "bf16";
  const Json* quantization = config.object("quantization_config");
  if (quantization == nullptr) {
    return;
  }
  const std::string method = text_of(*quantization, "quant_method");
  bits_x32_ = bits_of(*quantization, method);
  if (bits_x32_ == 0) {
    config.fail("quantization_config: quant_method " + in_quotes(method) +
                " is not known as it stands there: leave it out and give what weights weigh by TOML "
                "(docs/deployments.md)");
    return;
  }
  name_ = method;
  // DeepSeek-V4 has its routed experts in MXFP4, whatever the method of the rest.
  const std::string of_experts = text_of(*quantization, "expert_dtype");
  if ((of_experts.empty() ? config.text("expert_dtype", "") : of_experts) == "fp4") {
    expert_bits_x32_ = bits_of_32(4, 8, 32);
  }
  for (const char* key : {"modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules"}) {
    const auto list = quantization->find(key);
    if (list != quantization->end() && list->is_array()) {
      for (const Json& pattern : *list) {
        if (pattern.is_string() && !names_one_layer(pattern.get<std::string>())) {
          left_out_.push_back(pattern.get<std::string>());
        }
      }
    }
  }
}

bool Precision::quantized(const std::string& part) const {
  return bits_x32_ > 0 && std::none_of(left_out_.begin(), left_out_.end(),
                                       [&](const std::string& pattern) { return covers(pattern, part); });
}

Bytes Precision::of(const Weights& weights, const std::string& part) const {
  constexpr std::int64_t kBitsOfBytes = 8 * kGroup;
  const std::int64_t bits = part == "experts" && expert_bits_x32_ > 0 ? expert_bits_x32_ : bits_x32_;
  const std::int64_t linear =
      quantized(part) ? (weights.linear * bits + kBitsOfBytes - 1) / kBitsOfBytes : weights.linear * dtype_bytes_;
  return Bytes(linear + weights.plain * dtype_bytes_);
}

}  // namespace kvplace
