#include "model_text.h"

#include <fmt/core.h>

#include <algorithm>

#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/model/report.h"

namespace kvplace::cli {
namespace {

std::string size_of(Bytes size) { return size.value() > 0 ? short_bytes(static_cast<double>(size.value())) : "-"; }

std::string kind_of(const LayerGroup& group) {
  std::string kind = group.kind;
  if (group.window > 0) {
    kind += fmt::format("{} {}", group.kind == "window" ? "" : " + window", with_commas(group.window));
  }
  return kind;
}

std::string experts_of(const LayerGroup& group) {
  return group.experts == 0
             ? "-"
             : fmt::format("{} of {} x {}", group.experts_per_token, group.experts, size_of(group.expert_bytes));
}

/// Layers as they are named, shortened where many single ones are.
std::string layers_of(const LayerGroup& group) {
  constexpr std::size_t kMost = 22;
  return group.at.size() <= kMost ? group.at : group.at.substr(0, kMost - 3) + "...";
}

std::string weights_by_batch(const Model& model) {
  std::string text;
  for (const int tokens : {1, 8, 64, 256}) {
    text += fmt::format("{}{} for {}", text.empty() ? "" : ", ", short_bytes(weight_bytes_read(model, tokens)), tokens);
  }
  return text;
}

}  // namespace

std::string model_text(const Model& model) {
  const ModelTotals totals = model_totals(model);
  std::string out = model.name + (model.description.empty() ? "" : "\n  " + model.description) + "\n";
  const auto line = [&out](const std::string& name, const std::string& value) {
    out += fmt::format("  {:<20}{}\n", name, value);
  };
  line("parameters", model.parameters > 0 ? with_commas(static_cast<std::uint64_t>(model.parameters)) : "not known");
  line("weights", size_of(model.weight_bytes));
  line("read in a step", weights_by_batch(model) + " tokens (layers; routing uniform)");
  line("KV of a token", fmt::format("{} in {}", size_of(totals.kv_bytes_per_token), model.attention.dtype));
  if (totals.selector_bytes_per_token > Bytes(0)) {
    line("index keys", size_of(totals.selector_bytes_per_token) + " of a token");
  }
  if (totals.window_bytes_per_request > Bytes(0)) {
    line("windows", size_of(totals.window_bytes_per_request) + " of a request");
  }
  if (totals.state_bytes_per_request > Bytes(0)) {
    line("states", size_of(totals.state_bytes_per_request) + " of a request");
  }
  out += fmt::format("  {:<22} {:>5} {:<18} {:>9} {:>10} {:>9} {:>10}  {}\n", "layers", "count", "kind", "KV/token",
                     "index keys", "state", "dense", "experts");
  for (const LayerGroup& group : layer_groups(model)) {
    out += fmt::format("  {:<22} {:>5} {:<18} {:>9} {:>10} {:>9} {:>10}  {}\n", layers_of(group), num_layers(group),
                       kind_of(group), size_of(group.kv_bytes_per_token), size_of(group.selector_bytes_per_token),
                       size_of(group.state_bytes_per_request), size_of(group.dense_weight_bytes), experts_of(group));
  }
  return out;
}

}  // namespace kvplace::cli
