#include "bound/certificate_head.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint32_t kMostLayers = 1u << 16;
constexpr std::size_t kMostMadeBy = 1000;
constexpr int kDeepestNumber = 4;  // of fixed_bytes: the object, layers, channels, the pair
constexpr std::array kChoices{"mode", "barrier", "overlap", "start", "mirrored_reads"};

/// What version 2 has in place of numbers by layer.
struct Version2 {
  std::int64_t kv_block_bytes = 0;
  std::int64_t new_kv_bytes = 0;
  std::int64_t capacity_of_request = 0;
  std::array<std::int64_t, kNumChannels> weight_bytes{};
};

/// The numbers under their keys, in the order of the file, for reading and writing alike.
template <class Numbers, class Old, class Visit>
void visit_numbers(Numbers& certificate, Old& old, std::uint32_t version, Visit visit) {
  auto& n = certificate.numbers;
  const bool by_layer = version > 2;
  visit("layers", n.layers);
  visit("steps", n.steps);
  visit("blocks_per_layer", n.blocks_per_layer);
  visit("batch", n.batch);
  by_layer ? visit("kv_block_bytes", n.kv_block_bytes) : visit("kv_block_bytes", old.kv_block_bytes);
  visit("expert_block_bytes", n.expert_block_bytes);
  by_layer ? visit("new_kv_bytes", n.new_kv_bytes) : visit("new_kv_bytes", old.new_kv_bytes);
  visit("capacity_bytes", by_layer ? n.capacity_bytes : old.capacity_of_request);
  by_layer ? visit("fixed_bytes", n.fixed_bytes) : visit("weight_bytes", old.weight_bytes);
  visit("bandwidth_bytes_per_second", n.bandwidth_bytes_per_second);
  visit("interference_2_20", n.interference_2_20);
  visit("floor_units", n.floor_units);
  visit("overhead_units", n.overhead_units);
  visit("ticks_per_second", certificate.ticks_per_second);
  visit("unit_bytes", certificate.unit_bytes);
  visit("start_price", certificate.start_price);
}

const Field<InstanceOptions>& option_field(std::string_view key) {
  for (const Field<InstanceOptions>& field : option_fields()) {
    if (field.key == key) {
      return field;
    }
  }
  std::terminate();  // the keys are this file's own
}

/// True if `json` is a whole number that `out` can hold and is not negative.
template <class Integer>
bool get_number(const Json& json, Integer& out) {
  if (!json.is_number_unsigned() || !std::in_range<Integer>(json.get<std::uint64_t>())) {
    return false;
  }
  out = json.get<Integer>();
  return true;
}

bool get_number(const Json& json, FixedBytes& out) {
  return json.is_array() && json.size() == 2 && get_number(json[0], out.bytes) && get_number(json[1], out.per_token);
}

template <class Number, std::size_t kCount>
bool get_number(const Json& json, std::array<Number, kCount>& out) {
  bool good = json.is_array() && json.size() == kCount;
  for (std::size_t i = 0; good && i < kCount; ++i) {
    good = get_number(json[i], out[i]);
  }
  return good;
}

template <class Number>
bool get_number(const Json& json, std::vector<Number>& out) {
  if (!json.is_array() || json.empty() || json.size() > kMostLayers) {
    return false;
  }
  out.resize(json.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!get_number(json[i], out[i])) {
      return false;
    }
  }
  return true;
}

template <class Number>
Json json_of(const Number& number) {
  return number;
}
Json json_of(const FixedBytes& fixed) { return Json::array({fixed.bytes, fixed.per_token}); }
template <std::size_t kCount>
Json json_of(const std::array<FixedBytes, kCount>& by_channel) {
  Json json = Json::array();
  for (const FixedBytes& fixed : by_channel) {
    json.push_back(json_of(fixed));
  }
  return json;
}
Json json_of(const std::vector<std::array<FixedBytes, kNumChannels>>& by_layer) {
  Json json = Json::array();
  for (const auto& by_channel : by_layer) {
    json.push_back(json_of(by_channel));
  }
  return json;
}

/// Anything that is no part of the format in it becomes '?'.
std::string plain(const std::string& text) {
  std::string out = text.substr(0, kMostMadeBy);
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; }, '?');
  return out;
}

std::string text_of(const Certificate& certificate, const Version2& old, std::uint32_t version) {
  const BoundNumbers& numbers = certificate.numbers;
  InstanceOptions options;
  options.mode = numbers.mode;
  options.barrier = numbers.barrier;
  options.overlap = numbers.overlap;
  options.start = numbers.start;
  options.mirrored_reads = numbers.mirrored_reads;
  Json json;
  json["trace_digest"] = plain(numbers.trace_digest);
  if (version > 2) {
    json["claim"] = to_text(certificate.claim);
  }
  for (const char* key : kChoices) {
    json[key] = option_field(key).get(options);
  }
  visit_numbers(certificate, old, version, [&json](const char* key, const auto& value) { json[key] = json_of(value); });
  json["made_by"] = plain(certificate.made_by);
  return json.dump();
}

/// What version 2 says, as the newest does.
Status take(const Version2& old, BoundNumbers& numbers) {
  numbers.kv_block_bytes = {old.kv_block_bytes};
  numbers.new_kv_bytes = {old.new_kv_bytes};
  numbers.fixed_bytes.emplace_back();
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    numbers.fixed_bytes.front()[c].bytes = old.weight_bytes[c];
  }
  return __builtin_mul_overflow(old.capacity_of_request, numbers.batch, &numbers.capacity_bytes)
             ? Status(rejected("its capacity_bytes x batch is 2^63 or more"))
             : Status();
}

}  // namespace

Result<Certificate> certificate_of_head(std::string_view text, std::uint32_t version) {
  // What is nested deeper than any number here is left out: values are copied by recursion.
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) { return depth <= kDeepestNumber; };
  const Json json = Json::parse(text, shallow, false);
  if (!json.is_object()) {
    return rejected("its head is no JSON object");
  }
  Certificate certificate;
  Version2 old;
  std::string wrong;
  const auto find = [&](const char* key, auto get) {
    const auto found = json.find(key);
    if (wrong.empty() && (found == json.end() || !get(*found))) {
      wrong = key;
    }
  };
  const auto find_text = [&](const char* key, std::string& out) {
    find(key, [&out](const Json& value) {
      const bool good = value.is_string();
      out = good ? value.get<std::string>() : std::string();
      return good;
    });
  };
  BoundNumbers& numbers = certificate.numbers;
  find_text("trace_digest", numbers.trace_digest);
  if (version > 2) {
    find("claim", [&](const Json& value) {
      certificate.claim = value == to_text(Claim::kAny) ? Claim::kAny : Claim::kStep;
      return value == to_text(certificate.claim);
    });
  }
  InstanceOptions options;
  for (const char* key : kChoices) {
    find(key, [&](const Json& value) {
      return value.is_string() && option_field(key).set(options, value.get<std::string>()).has_value();
    });
  }
  numbers.mode = options.mode;
  numbers.barrier = options.barrier;
  numbers.overlap = options.overlap;
  numbers.start = options.start;
  numbers.mirrored_reads = options.mirrored_reads;
  visit_numbers(certificate, old, version, [&](const char* key, auto& out) {
    find(key, [&out](const Json& value) { return get_number(value, out); });
  });
  find_text("made_by", certificate.made_by);
  if (!wrong.empty()) {
    return rejected("its head says nothing sensible of " + in_quotes(wrong));
  }
  if (text != text_of(certificate, old, version)) {
    return rejected("its head is not written as version " + std::to_string(version) +
                    " has it: keys in order, plain numbers, no white space, nothing else");
  }
  if (version == 2) {
    KVPLACE_TRY(take(old, numbers));
  }
  const auto fits = [&](std::size_t count) { return count == 1 || count == numbers.layers; };
  if (numbers.layers == 0 || numbers.layers > kMostLayers || numbers.steps == 0 ||
      !fits(numbers.kv_block_bytes.size()) || !fits(numbers.new_kv_bytes.size()) || numbers.fixed_bytes.empty() ||
      (!fits(numbers.fixed_bytes.size()) && numbers.fixed_bytes.size() % numbers.layers != 0)) {
    return rejected("its layers or steps are none or too many, or not as many as its lists by layer have");
  }
  return certificate;
}

std::string to_json(const Certificate& certificate) { return text_of(certificate, {}, kCertificateVersion); }

std::string differences(const BoundNumbers& there, const BoundNumbers& here) {
  const auto head = [](const BoundNumbers& numbers) {
    Certificate certificate;
    certificate.numbers = numbers;
    return Json::parse(to_json(certificate));
  };
  const Json theirs = head(there);
  const Json ours = head(here);
  std::string text;
  for (const auto& [key, value] : theirs.items()) {
    if (value != ours[key]) {
      text += (text.empty() ? "" : ", ") + key + " (" + value.dump() + " there, " + ours[key].dump() + " here)";
    }
  }
  return text;
}

Status check_instance(const Certificate& certificate, const Instance& instance, const TraceReader& trace) {
  KVPLACE_ASSIGN(here, bound_numbers(instance, trace));
  const std::string other = differences(certificate.numbers, here);
  return other.empty() || certificate.numbers.trace_digest != here.trace_digest
             ? Status()
             : rejected("the certificate speaks about another instance: " + other);
}

}  // namespace kvplace
