#include "tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "served_text.h"
#include "verdicts.h"

namespace kvplace::cli {
namespace {

/// What a row knows that is no schedule: all of those take at least as long.
constexpr const char* kBound = "bound";

/// One row of the league table; bounds have no counts.
struct Row {
  std::string name;
  std::string knows;
  Seconds total;
  std::string hits;
  std::string utilization;
  std::string bottleneck;
};

/// So many columns, rounded.
std::string bar(double columns) { return std::string(static_cast<std::size_t>(std::lround(columns)), '#'); }

std::string bottleneck_of(const ReplayResult& result) {
  std::uint64_t steps = 0;
  std::size_t slowest = 0;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    steps += result.bottleneck_steps[c];
    if (result.bottleneck_steps[c] > result.bottleneck_steps[slowest]) {
      slowest = c;
    }
  }
  if (steps == 0) {
    return "-";
  }
  return fmt::format("{} {:.0f} %", channel_name(static_cast<Channel>(slowest)),
                     100.0 * static_cast<double>(result.bottleneck_steps[slowest]) / static_cast<double>(steps));
}

Row row_of(const ReplayResult& result) {
  Row row;
  row.name = result.found_by.empty() ? result.policy.label() : result.found_by;
  if (result.policy.name != row.name) {
    row.name += " = " + result.policy.text();
  } else if (!result.policy.parameters.empty()) {
    row.name = result.policy.label();
  }
  row.knows = to_text(result.information);
  row.total = result.total;
  row.hits =
      result.reads == 0
          ? "-"
          : fmt::format("{:.1f}", 100.0 * static_cast<double>(result.near_reads) / static_cast<double>(result.reads));
  row.utilization = fmt::format("{:.1f}", 100 * result.aggregate_utilization);
  row.bottleneck = bottleneck_of(result);
  return row;
}

/// What times are compared with.
struct Yardstick {
  const char* name = "";
  Seconds time;
};

std::string draw(const std::vector<Row>& rows, const Yardstick& yardstick, double tokens, int width) {
  std::size_t name_width = 6;
  std::size_t bottleneck_width = 10;
  double slowest = 0;
  for (const Row& row : rows) {
    name_width = std::max(name_width, row.name.size());
    bottleneck_width = std::max(bottleneck_width, row.bottleneck.size());
    slowest = std::max(slowest, row.total.value());
  }
  // Bars end where a policy is so slow that its bar would shorten all others to nothing.
  constexpr double kLongestBar = 4;  // times the yardstick
  const double full_bar = std::min(slowest, kLongestBar * yardstick.time.value());
  constexpr int kFixedColumns = 54;
  const int used = kFixedColumns + static_cast<int>(name_width + bottleneck_width);
  const auto bar_width = static_cast<std::size_t>(std::clamp(width - used, 8, 40));
  std::string out = fmt::format("{:<{}}  {:<9}  {:>10}  {:>8}  {:>6}  {:>6}  {:<{}}\n", "policy", name_width, "knows",
                                "time/token", yardstick.name, "hit %", "util %", "bottleneck", bottleneck_width);
  for (const Row& row : rows) {
    const double share = full_bar > 0 ? row.total.value() / full_bar : 0;
    const std::string ratio = yardstick.time.value() > 0 ? fmt::format("{:.3f}", row.total / yardstick.time) : "-";
    out += fmt::format("{:<{}}  {:<9}  {:>10}  {:>8}  {:>6}  {:>6}  {:<{}}  {}\n", row.name, name_width, row.knows,
                       short_time(tokens > 0 ? row.total.value() / tokens : 0,
                                  row.knows == kBound ? Rounding::kDown : Rounding::kNearest),
                       ratio, row.hits, row.utilization, row.bottleneck, bottleneck_width,
                       bar(std::min(share, 1.0) * static_cast<double>(bar_width)) + (share > 1 ? ">" : ""));
  }
  return out;
}

/// "12.6 MiB", or of unlike ones "2.53 MiB to 2.92 MiB".
std::string sizes_text(Bytes least, Bytes most) {
  const auto text = [](Bytes size) { return short_bytes(static_cast<double>(size.value())); };
  return least == most ? text(most) : text(least) + " to " + text(most);
}

std::string expert_size_text(const Instance& instance) {
  const std::vector<Bytes> sizes = instance.expert_sizes();
  return sizes_text(sizes.front(), sizes.back());
}

/// The size of KV blocks, or where layers differ the least and the most.
std::string block_text(const Instance& instance) {
  Bytes least = instance.kv_block_bytes(LayerIndex(0));
  Bytes most = least;
  for (std::uint32_t layer = 1; layer < instance.layers(); ++layer) {
    least = std::min(least, instance.kv_block_bytes(LayerIndex(layer)));
    most = std::max(most, instance.kv_block_bytes(LayerIndex(layer)));
  }
  return sizes_text(least, most);
}

/// What is read, and of which size it is.
std::string reads_text(const TraceReader& trace, const Instance& instance) {
  const std::string reads = with_commas(trace.totals().reads);
  const std::string experts = with_commas(instance.layout().experts);
  if (instance.experts_alone()) {
    return fmt::format("{} reads of experts of {}, {} per layer", reads, expert_size_text(instance), experts);
  }
  return fmt::format(
      "prompt {}{}, {} reads of {} blocks ({} tokens){}", instance.layout().served != nullptr ? "up to " : "",
      with_commas(instance.layout().prompt_tokens), reads, block_text(instance), instance.layout().block_tokens,
      instance.layout().experts > 0 ? fmt::format(" and {} experts of {}", experts, expert_size_text(instance))
                                    : std::string());
}

/// How much near memory there is, for what, and how much of it fits.
std::string capacity_text(const Instance& instance) {
  const double capacity = static_cast<double>(instance.capacity().value());
  const std::string size = short_bytes(capacity * instance.options().batch);
  const std::uint32_t experts = instance.layout().experts;
  const double of_experts = static_cast<double>(instance.all_expert_bytes().value());
  if (instance.experts_alone()) {
    const double per_layer = capacity / of_experts * experts;
    return fmt::format("{} = {} of {} experts per layer", size,
                       per_layer >= experts ? std::string("all") : fmt::format("{:.4g}", per_layer),
                       with_commas(experts));
  }
  if (experts > 0) {
    const Bytes pages = instance.kv_row_bytes() * std::int64_t{instance.most_pages()};
    const double share = capacity / (of_experts + static_cast<double>(pages.value()));
    return size + " for KV and experts = " + (share >= 1 ? "all" : percent(share)) + " of their bytes";
  }
  const double per_layer = capacity / static_cast<double>(instance.kv_row_bytes().value());
  return fmt::format("{} for KV = {} of {} blocks per layer{}", size,
                     per_layer >= instance.most_pages() ? std::string("all") : fmt::format("{:.4g}", per_layer),
                     with_commas(instance.most_pages()), instance.layout().served != nullptr ? " at once" : "");
}

/// What one GPU has of the deployment, and its near memory as a sum.
std::string deployment_text(const Instance& instance) {
  const GpuShare& share = instance.share();
  const InstanceOptions& given = instance.spec().options;
  if (!share.deployment) {
    return {};
  }
  const auto size = [](Bytes bytes) { return short_bytes(static_cast<double>(bytes.value())); };
  std::string out;
  if (given.gpus > 1) {
    out += fmt::format("gpus      {}, attention tensor-parallel {}, data-parallel {}; of one: {} of {} requests",
                       given.gpus, share.attention_tp, share.attention_dp, share.requests, given.batch);
    if (share.kv_heads > 0) {
      out += fmt::format(", {} of {} KV heads", std::max(1u, share.kv_heads / share.attention_tp), share.kv_heads);
    }
    if (share.experts > 0) {
      out += given.expert_parallel ? fmt::format(", {} of {} experts", share.experts / given.gpus, share.experts)
                                   : fmt::format(", 1/{} of each expert", given.gpus);
    }
    out += "\n";
  }
  const NearBudget& near = share.near;
  out += "near      " + size(near.memory);
  const char* sign = " = ";
  for (const auto& [part, name] :
       {std::pair{near.weights, "weights"}, std::pair{near.reserve, "reserve"}, std::pair{near.selector, "index keys"},
        std::pair{near.state, "states"}, std::pair{near.window, "windows"}, std::pair{near.other_kv, "untraced KV"}}) {
    if (part > Bytes(0)) {
      out += fmt::format("{}{} {}", sign, name, size(part));
      sign = " + ";
    }
  }
  out += near.kv < Bytes(0) ? fmt::format(", {} too much\n", size(Bytes(0) - near.kv))
                            : fmt::format("{}{} left\n", sign, size(near.kv));
  out += fmt::format("step      weights {}", size(share.weight_bytes_per_step));
  if (share.distinct_experts > 0) {
    out += fmt::format(" ({:.4g} of {} experts read)", share.distinct_experts, share.experts);
  }
  if (share.other_bytes_per_step > Bytes(0)) {
    out += fmt::format(", windows, states, index keys and untraced KV {}", size(share.other_bytes_per_step));
  }
  const bool alike =
      std::adjacent_find(share.layers.begin(), share.layers.end(), std::not_equal_to<>()) == share.layers.end();
  return out + (alike ? ", per traced layer\n" : ", mean of the traced layers\n");
}

/// The costs beside bytes at the peak, if there are any.
std::string engine_text(const Instance& instance) {
  const Engine& engine = instance.spec().engine;
  const FarTier& far = instance.spec().hardware.far;
  std::string parts;
  const auto add = [&parts](bool there, const std::string& text) {
    parts += there ? (parts.empty() ? "" : ", ") + text : "";
  };
  add(engine.weights_efficiency != 1, fmt::format("weights at {:g} of near memory's peak", engine.weights_efficiency));
  add(engine.kv_efficiency != 1, fmt::format("KV at {:g}", engine.kv_efficiency));
  add(engine.layer_overhead > Seconds(0), format_seconds(engine.layer_overhead) + " a layer");
  add(engine.step_overhead > Seconds(0), format_seconds(engine.step_overhead) + " a decode step");
  add(engine.tiered_overhead > Seconds(0),
      format_seconds(engine.tiered_overhead) + (instance.tiered() ? " a tiered layer" : " a layer if it were tiered"));
  add(engine.far_computes,
      fmt::format("far weights multiplied there, at {:g} of far memory's peak", engine.far_efficiency));
  add(far.latency > Seconds(0), format_seconds(far.latency) + " for a step's first read from far");
  const BytesPerSecond link = instance.step_time().bandwidth(Channel::kFarLinkRead);
  add(link != instance.share().machine.effective(far.link_read),
      "link " + format_bandwidth(BytesPerSecond(std::round(link.value() / 1e6) * 1e6)) + " for pieces of its size");
  if (parts.empty() && engine.name.empty()) {
    return {};
  }
  return "engine    " + (engine.name.empty() ? std::string() : engine.name + (parts.empty() ? "" : ": ")) + parts +
         "\n";
}

/// ", of 2.53 MiB to 2.92 MiB", if the trace knows it.
std::string expert_bytes_text(const TraceMeta& meta) {
  if (meta.expert_bytes.empty()) {
    return {};
  }
  const auto [least, most] = std::minmax_element(meta.expert_bytes.begin(), meta.expert_bytes.end());
  return ", of " + sizes_text(*least, *most);
}

/// How many experts of a layer the prompt used.
std::string prompt_experts_text(const TraceMeta& meta) {
  if (meta.prompt_experts.empty()) {
    return "not known: none is near at the start";
  }
  std::size_t all = 0;
  for (const std::vector<std::uint32_t>& list : meta.prompt_experts) {
    all += list.size();
  }
  return fmt::format("{:.1f} of a layer's, near at the start as far as there is room",
                     static_cast<double>(all) / static_cast<double>(meta.layers));
}

std::vector<Row> bound_rows(const Bounds& bounds) {
  return {{"(all near)", "-", bounds.all_near, "-", "-", "-"},
          {"(perfect split)", kBound, bounds.perfect_split, "-", "-", "-"}};
}

}  // namespace

std::string tokens_text(const TraceTotals& totals, bool served) {
  if (served) {
    return fmt::format(" of {} tokens", with_commas(totals.tokens()));
  }
  return totals.step_tokens == nullptr ? std::string()
                                       : fmt::format(" of {} tokens ({:.4g} verified in each)",
                                                     with_commas(totals.tokens()), totals.verified_per_step());
}

std::string describe(const TraceReader& trace, const Instance& instance) {
  const InstanceSpec& spec = instance.spec();
  const Hardware& hardware = instance.share().machine;
  const TraceTotals& totals = trace.totals();
  std::string out;
  const std::string& path = trace.path();
  out += fmt::format("trace     {}: {} decode steps{}, {} layers, {}\n", path.substr(path.find_last_of('/') + 1),
                     with_commas(totals.steps), tokens_text(totals, trace.meta().layout.served != nullptr),
                     instance.layers(), reads_text(trace, instance));
  if (trace.meta().layout.served != nullptr) {
    out += "served    " + requests_text(*trace.meta().layout.served) + "; what prefill takes is not counted\n";
  }
  out += fmt::format("machine   {}: near {}, far {} behind links of {} (read) and {} (write)\n", hardware.name,
                     format_bandwidth(hardware.effective(hardware.near.bandwidth)),
                     format_bandwidth(hardware.effective(hardware.far.bandwidth)),
                     format_bandwidth(hardware.effective(hardware.far.link_read)),
                     format_bandwidth(hardware.effective(hardware.far.link_write)));
  out += fmt::format("instance  {}, near capacity {}, batch {}, weights {} per step{}\n", to_text(spec.options.mode),
                     capacity_text(instance), spec.options.batch,
                     short_bytes(static_cast<double>(instance.weight_bytes_per_step().value())),
                     spec.options.copies == Copies::kBackground ? ", copies in the background" : "");
  if (!instance.share().layers_are.empty() && !instance.share().stands_in) {
    out += "layers    " + instance.share().layers_are + "\n";
  }
  out += engine_text(instance) + deployment_text(instance);
  for (const std::string& note : instance.notes()) {
    out += "note      " + note + "\n";
  }
  return out;
}

std::string table(const Comparison& comparison, const Instance& instance, int width) {
  std::vector<Row> rows;
  for (const ReplayResult& result : comparison.results) {
    rows.push_back(row_of(result));
  }
  for (Row& row : bound_rows(comparison.bounds)) {
    rows.push_back(std::move(row));
  }
  const Yardstick yardstick{comparison.covering() != nullptr ? "x bound" : "x split", comparison.lower_bound()};
  if (comparison.proven) {
    rows.push_back({"(certified)", kBound, comparison.proven->verified.bound, "-", "-", "-"});
    if (comparison.proven_any) {
      rows.push_back({"(any)", kBound, comparison.proven_any->verified.bound, "-", "-", "-"});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.total > b.total; });
  const std::uint32_t steps = comparison.results.empty() ? instance.steps() : comparison.results.front().steps;
  std::string out = draw(rows, yardstick, instance.tokens_decoded(steps), width);
  const std::string served = served_table(comparison, instance);
  out += (served.empty() ? "" : "\n" + served) + "\n" + legend(comparison) + costs_verdict(instance);
  for (const std::string& verdict : {ending_verdict(comparison, instance), placement_verdict(comparison, instance)}) {
    out += (verdict.empty() ? "" : "\n") + verdict;
  }
  return out;
}

std::string table(const ScheduleReplay& replay, const Instance& instance, int width) {
  std::vector<Row> rows{row_of(replay.result)};
  rows.front().knows = "stored";
  for (Row& row : bound_rows(replay.bounds)) {
    rows.push_back(std::move(row));
  }
  return draw(rows, {"x split", replay.bounds.perfect_split}, instance.tokens_decoded(replay.result.steps), width) +
         "\n" + legend();
}

std::string table(const TraceStatistics& statistics, const TraceReader& trace) {
  const TraceMeta& meta = trace.meta();
  const TraceTotals& totals = trace.totals();
  std::string out = trace.path() + "\n";
  const auto line = [&out](const std::string& name, const std::string& value) {
    out += fmt::format("  {:<22}{}\n", name, value);
  };
  line("model", meta.model.empty() ? "-" : meta.model);
  line("selection", meta.selection.empty() ? "-" : meta.selection);
  line("source", meta.source.empty() ? "-" : meta.source);
  for (const auto& [name, value] : meta.measurements) {
    line(name, format_number(value));
  }
  line("digest", totals.digest.empty() ? "-" : totals.digest);
  line("decode steps", with_commas(totals.steps));
  if (meta.layout.served != nullptr) {
    line("served batch", requests_text(*meta.layout.served) + ": " + with_commas(totals.tokens()) + " tokens");
  }
  if (meta.has_tokens) {
    line("tokens",
         fmt::format("{}: {:.4g} per decode step, of {:.4g} verified", with_commas(totals.tokens()),
                     static_cast<double>(totals.tokens()) / std::max(1u, totals.steps), totals.verified_per_step()));
  }
  line("layers",
       std::to_string(meta.layers) +
           (meta.first_layer == 0 ? "" : fmt::format(", the first is layer {} of the model", meta.first_layer)));
  const bool experts_alone = meta.layout.experts > 0 && totals.blocks_per_layer == meta.layout.experts;
  if (experts_alone) {
    line("experts per layer", with_commas(meta.layout.experts) + expert_bytes_text(meta));
    line("used by the prompt", prompt_experts_text(meta));
  } else {
    line("prompt tokens", with_commas(meta.layout.prompt_tokens));
    line("block tokens", std::to_string(meta.layout.block_tokens));
    line("blocks per layer", with_commas(totals.blocks_per_layer));
    line("experts, requests",
         fmt::format("{}{}, {}", meta.layout.experts, expert_bytes_text(meta), meta.layout.requests));
  }
  const std::string blocks = experts_alone ? "experts" : "blocks";
  line("rankings", meta.has_ranking ? "yes" : "no");
  line("reads", fmt::format("{} ({:.1f} per step and layer, {} of the {} there are)", with_commas(totals.reads),
                            statistics.reads_per_step, percent(statistics.density), blocks));
  const auto [least, most] =
      std::minmax_element(statistics.overlap_by_layer.begin(), statistics.overlap_by_layer.end());
  if (least != statistics.overlap_by_layer.end()) {
    line("overlap", fmt::format("{:.3f} of a step's reads were read in the step before ({:.3f} to {:.3f} by layer)",
                                statistics.overlap, *least, *most));
  }
  if (!experts_alone) {
    line("recent, first", fmt::format("{} of reads in the newest 64 tokens, {} in the first 4",
                                      percent(statistics.recent_share), percent(statistics.first_share)));
  }
  std::string windows;
  for (const auto& [window, distinct] : statistics.working_set) {
    windows += fmt::format("{}{:.0f} in {}", windows.empty() ? "" : ", ", distinct, window);
  }
  line("working set", windows + " decode steps (distinct " + blocks + " per layer)");
  out += "  LRU misses, share of reads, by buffer size\n";
  out += fmt::format("    {:>18}  {:>9}  {:>16}\n", blocks + " per layer", "per layer", "over all layers");
  for (std::size_t i = 0; i < statistics.lru.capacity_blocks.size(); ++i) {
    const std::string pooled =
        i < statistics.lru_pooled.miss_ratio.size() ? percent(statistics.lru_pooled.miss_ratio[i], 2) : "-";
    out += fmt::format("    {:>18}  {:>9}  {:>16}\n", with_commas(statistics.lru.capacity_blocks[i]),
                       percent(statistics.lru.miss_ratio[i], 2), pooled);
  }
  out += fmt::format("  reads by decode steps since the {}'s last read\n", experts_alone ? "expert" : "block");
  const double reads = static_cast<double>(std::max<std::uint64_t>(1, totals.reads));
  for (std::size_t i = 0; i < statistics.reuse_distance_steps.size(); ++i) {
    const std::uint64_t from = std::uint64_t{1} << i;
    const double share = static_cast<double>(statistics.reuse_distance_steps[i]) / reads;
    out += fmt::format("    {:>18}  {:>9}  {}\n", i == 0 ? "1" : fmt::format("{} to {}", from, 2 * from - 1),
                       percent(share, 2), bar(share * 50));
  }
  out += fmt::format("    {:>18}  {:>9}\n", "never before",
                     percent(static_cast<double>(statistics.first_reads) / reads, 2));
  return out;
}

}  // namespace kvplace::cli
