#include "simulate/result_fields.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;
using Context = const ResultContext&;

/// Numbers by name, in the order they are given.
using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

template <class T>
struct MayBeNull : std::false_type {};
template <class T>
struct MayBeNull<std::optional<T>> : std::true_type {};

/// What a value of type T is called in JSON.
template <class T>
std::string json_type() {
  if constexpr (std::is_same_v<T, std::string>) {
    return "string";
  } else if constexpr (std::is_integral_v<T>) {
    return "integer";
  } else if constexpr (std::is_same_v<T, double>) {
    return "number";
  } else if constexpr (std::is_same_v<T, std::vector<std::uint64_t>>) {
    return "array of integers";
  } else if constexpr (std::is_same_v<T, Parameters>) {
    return "object of numbers";
  } else {
    static_assert(std::is_same_v<T, Counts>);
    return "object of integers";
  }
}

template <class T>
Json value_json(const T& value) {
  if constexpr (MayBeNull<T>::value) {
    return value ? value_json(*value) : Json(nullptr);
  } else if constexpr (std::is_same_v<T, Counts>) {
    Json json = Json::object();
    for (const auto& [name, count] : value) {
      json[name] = count;
    }
    return json;
  } else {
    return Json(value);
  }
}

/// A field whose type follows from what `get` gives; null where that is an optional without a value.
template <class Get>
ResultField result_field(std::string key, std::string unit, std::string doc, Get get) {
  using Value = std::invoke_result_t<Get, Context>;
  std::string type;
  if constexpr (MayBeNull<Value>::value) {
    type = json_type<typename Value::value_type>() + " or null";
  } else {
    type = json_type<Value>();
  }
  return {std::move(key), std::move(unit), std::move(type),
          std::move(doc), false,           [get](Context c) { return value_json(get(c)); }};
}

/// A field that is left out where `get` gives nothing.
template <class Get>
ResultField optional_result_field(std::string key, std::string unit, std::string doc, Get get) {
  using Value = typename std::invoke_result_t<Get, Context>::value_type;
  return {std::move(key), std::move(unit), json_type<Value>(), std::move(doc), true, [get](Context c) {
            return value_json(get(c));
          }};
}

std::int64_t bytes_on(Context c, Channel channel) { return c.result.channel_bytes[static_cast<std::size_t>(channel)]; }

/// Time over that of a bound, less 1; none without one, and of an ideal, about which no bound says anything.
std::optional<double> gap_over(Context c, Seconds bound) {
  const bool none = c.result.information == Information::kIdeal || bound.value() <= 0;
  return none ? std::optional<double>() : c.result.total.value() / bound.value() - 1;
}

Counts bottleneck_steps(Context c) {
  Counts counts;
  for (std::size_t i = 0; i < kNumChannels; ++i) {
    counts.emplace_back(channel_name(static_cast<Channel>(i)), c.result.bottleneck_steps[i]);
  }
  return counts;
}

std::vector<ResultField> make_result_fields() {
  return {
      result_field("policy", "", "the name asked for; of a stored schedule, what it says it was made by",
                   [](Context c) { return c.result.found_by; }),
      result_field("parameters", "",
                   "name to value, all of them; of a policy found by search, those of the member found",
                   [](Context c) { return c.result.policy.parameters; }),
      optional_result_field("found", "", "only of a policy found by search: what was found, as text",
                            [](Context c) {
                              return c.result.policy.name != c.result.found_by ? std::optional(c.result.policy.text())
                                                                               : std::nullopt;
                            }),
      result_field("information", "",
                   "`causal`, `ranked`, `lookahead`, `oracle` or `ideal`; of a replayed schedule `stored`",
                   [](Context c) { return c.stored ? std::string("stored") : to_text(c.result.information); }),
      optional_result_field(
          "planning_status", "", "only of `planned`: how its planning ended, as for `bound`",
          [](Context c) { return c.result.planning ? std::optional(to_text(*c.result.planning)) : std::nullopt; }),
      result_field("steps", "decode steps", "replayed", [](Context c) { return c.result.steps; }),
      result_field("total_s", "s", "total time", [](Context c) { return c.result.total.value(); }),
      result_field("tokens_per_s", "tokens/s", "tokens decoded by all requests / total time",
                   [](Context c) { return c.result.tokens_per_second; }),
      optional_result_field(
          "token_time_p50_s", "s",
          "only of a served batch: within which half of all tokens come, each in the time of its decode step",
          [](Context c) {
            return c.result.token_times ? std::optional(c.result.token_times->p50.value()) : std::nullopt;
          }),
      optional_result_field("token_time_p99_s", "s", "only of a served batch: the same of 99 %",
                            [](Context c) {
                              return c.result.token_times ? std::optional(c.result.token_times->p99.value())
                                                          : std::nullopt;
                            }),
      result_field("reads", "blocks", "near_reads + far_reads", [](Context c) { return c.result.reads; }),
      result_field("near_reads", "blocks", "near and not in flight, or appended to in the step that reads them",
                   [](Context c) { return c.result.near_reads; }),
      result_field("far_reads", "blocks", "all others", [](Context c) { return c.result.far_reads; }),
      result_field("promotions", "blocks",
                   "copied from far to near, or issued to be; newborn blocks that stay near are not copied",
                   [](Context c) { return c.result.promotions; }),
      result_field("demotions", "blocks", "evictions that had to be written to far: exclusive mode only",
                   [](Context c) { return c.result.demotions; }),
      result_field("evictions", "blocks", "left near", [](Context c) { return c.result.evictions; }),
      result_field("near_bytes", "bytes", "on `near.mem`: reads, writes, migrations, weights",
                   [](Context c) { return bytes_on(c, Channel::kNearMem); }),
      result_field("far_read_bytes", "bytes", "on `far.link_read`, far to near",
                   [](Context c) { return bytes_on(c, Channel::kFarLinkRead); }),
      result_field("far_write_bytes", "bytes", "on `far.link_write`, near to far",
                   [](Context c) { return bytes_on(c, Channel::kFarLinkWrite); }),
      result_field("peak_near_blocks", "blocks",
                   "most blocks near, those in flight included, at the end of a step or at the start",
                   [](Context c) { return c.result.peak_near_blocks; }),
      result_field("aggregate_gb_per_s", "1e9 bytes/s", "weights and KV read from both sides / total time",
                   [](Context c) { return c.result.aggregate_bytes_per_second / 1e9; }),
      result_field("aggregate_utilization", "share", "the same over near bandwidth + min(far.link_read, far.mem)",
                   [](Context c) { return c.result.aggregate_utilization; }),
      result_field(
          "gap_to_bound", "share",
          "total time / certified bound - 1, that of `any` with copies in the background; null without one, and of an "
          "`ideal`, which no placement reaches",
          [](Context c) { return gap_over(c, c.certified); }),
      result_field("gap_to_perfect_split", "share", "total time / perfect split - 1; null of an `ideal`",
                   [](Context c) { return gap_over(c, c.bounds.perfect_split); }),
      result_field("far_reads_by_layer", "blocks", "one number per layer",
                   [](Context c) { return c.result.far_reads_by_layer; }),
      result_field(
          "bottleneck_steps", "steps",
          "channel name to steps in which it took longest (decode steps with barrier token); the first of equals",
          bottleneck_steps),
  };
}

}  // namespace

std::span<const ResultField> result_fields() {
  static const std::vector<ResultField> kFields = make_result_fields();
  return kFields;
}

}  // namespace kvplace
