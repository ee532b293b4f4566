#include "advise_sentences.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "kvplace/base/short_text.h"
#include "kvplace/generate/workload.h"

namespace kvplace::cli {
namespace {

std::string requests(std::uint64_t count) {
  return count == 0 ? "no request" : with_commas(count) + (count == 1 ? " request" : " requests");
}

std::string engine_name(const Advice& advice) {
  return advice.spec.engine.name.empty() ? "an ideal engine" : advice.spec.engine.name;
}

std::string rate(double tokens_per_second) { return few_digits(tokens_per_second, 4); }

/// Where the engine's tiers are slower than no tiers at all, of the batches shown.
std::string loses_sentence(const Advice& advice) {
  const AdvicePoint* worst = nullptr;
  double most = 0.01;  // as times that differ less count as the same
  for (const AdvicePoint& point : advice.points) {
    if (point.all_near && point.engine && point.engine->step_s / point.all_near->step_s - 1 > most) {
      most = point.engine->step_s / point.all_near->step_s - 1;
      worst = &point;
    }
  }
  return worst == nullptr
             ? ""
             : fmt::format("Where all KV fits near it loses: at batch {} {} takes {} longer than with all near.\n",
                           worst->batch, engine_name(advice), percent(most, 0));
}

std::string crossover_sentence(const Advice& advice) {
  if (advice.fit != FarHolds::kKv && advice.fit != FarHolds::kNothing) {
    return {};
  }
  std::string out;
  if (advice.crossover_batch && !advice.most_all_near) {
    out = fmt::format("Tiering pays at batch {}: without it nothing fits.\n", *advice.crossover_batch);
  } else if (advice.crossover_batch) {
    out = fmt::format(
        "Tiering pays at batch {}, the least found at which it is faster than {} tokens/s, {} with all KV near.\n",
        *advice.crossover_batch, rate(advice.most_all_near->tokens_per_second), requests(advice.requests_all_near));
  } else if (advice.complete && advice.most_all_near && advice.requests_tiered > advice.requests_all_near) {
    out = fmt::format(
        "Tiering does not pay: none of the batches tried, up to {}, is faster than {} tokens/s, {} with all KV near.\n",
        with_commas(advice.requests_tiered), rate(advice.most_all_near->tokens_per_second),
        requests(advice.requests_all_near));
  }
  return out + loses_sentence(advice);
}

std::string target_sentence(const Advice& advice) {
  if (!advice.target_batch) {
    return {};
  }
  return *advice.target_batch == 0 ? "Target: no batch gives each request that many tokens/s.\n"
                                   : fmt::format("Target: up to {} get it.\n", requests(*advice.target_batch));
}

std::string settings_lines(const Advice& advice) {
  std::string out;
  for (const auto& [server, flags] : advice.settings) {
    const bool serves = advice.spec.engine.name.empty() || advice.spec.engine.name.starts_with(server) ||
                        !advice.settings.contains(advice.spec.engine.name.substr(0, advice.spec.engine.name.find('-')));
    out += serves ? fmt::format("{}: {}\n", server, flags) : std::string();
  }
  return out.empty() ? out : "Settings\n" + out;
}

/// Gains of less than a thousandth are none: policies are not monotone in what they have.
std::string gain(const char* what, const std::optional<double>& tokens_per_second, double of) {
  if (!tokens_per_second) {
    return {};
  }
  const double shown = std::abs(*tokens_per_second) < 1e-3 * of ? 0 : *tokens_per_second;
  return fmt::format("{} {}{} tokens/s", what, shown < 0 ? "-" : "+", few_digits(std::abs(shown), 3));
}

std::string gains_sentence(const Advice& advice) {
  std::string list;
  const AdvicePoint* asked = advice.asked();
  const double now = asked->best ? asked->best->tokens_per_second : 0;
  const std::string gpus = fmt::format("{} more GPU{}", advice.more_gpus, advice.more_gpus == 1 ? "" : "s");
  for (const std::string& one :
       {gain("1 GiB near (each GPU)", advice.gain_gib_near, now), gain("1 GB/s of link", advice.gain_gb_s_link, now),
        gain(gpus.c_str(), advice.gain_gpu, now)}) {
    list += one.empty() ? "" : (list.empty() ? "" : ", ") + one;
  }
  return list.empty()
             ? ""
             : fmt::format("More would buy the best policy at batch {}: {}.\n", advice.spec.options.batch, list);
}

std::string sensitivity_sentence(const Advice& advice) {
  if (advice.sensitivity.empty()) {
    return {};
  }
  std::string list;
  std::size_t shown = 0;
  for (const Sensitivity& one : advice.sensitivity) {
    const auto change = [&](double value) {
      return value <= 0 ? std::string("does not fit")
                        : fmt::format("{:+.0f} %", 100 * (value / advice.base_tokens_per_second - 1));
    };
    const double least = 0.005 * advice.base_tokens_per_second;
    if (shown == 4 || (std::abs(one.lower - advice.base_tokens_per_second) < least &&
                       std::abs(one.higher - advice.base_tokens_per_second) < least)) {
      break;
    }
    list += fmt::format("{}{} {} / {}", list.empty() ? "" : ", ", one.input, change(one.lower), change(one.higher));
    ++shown;
  }
  return list.empty() ? fmt::format("No input, 20 % lower or higher, changes {} tokens/s by 0.5 %.\n",
                                    rate(advice.base_tokens_per_second))
                      : fmt::format("{} tokens/s of the {} hang on, each 20 % lower / higher: {}.\n",
                                    rate(advice.base_tokens_per_second), advice.sensitive_speed, list);
}

std::string bound_sentence(const Advice& advice) {
  const bool any = std::any_of(advice.points.begin(), advice.points.end(),
                               [](const AdvicePoint& point) { return point.bound_step_s.has_value(); });
  if (!any) {
    return advice.fit == FarHolds::kExperts && advice.spec.options.gpus > 1
               ? "No bound and no policy but the split: traces of experts are of one GPU.\n"
               : "";
  }
  std::string out = "Bound: proven; no placement ";
  out += advice.fit == FarHolds::kExperts ? "that brings experts over the link " : "of the KV ";
  out += advice.spec.engine == Engine() ? "is faster on this machine"
                                        : "is faster with this engine's efficiencies and overheads";
  return out + (advice.synthetic ? ", for the reads of the workload.\n" : ", for the reads of the trace.\n");
}

/// Of an engine that has tiers for other models than this.
std::string serves_sentence(const Advice& advice) {
  const bool tiers_kv = advice.spec.engine.tiering == Tiering::kKv;
  return tiers_kv && advice.spec.model->attention.sparse_top_k == 0
             ? fmt::format("{} keeps KV far of models with an indexer, which {} has not: it keeps all KV near here.\n",
                           advice.spec.engine.name, advice.spec.model->name)
             : "";
}

double near_of_all(const Advice& advice) {
  return static_cast<double>(advice.near.memory.value()) * advice.spec.options.gpus;
}

/// Of the most requests, all of it; with a share of the heads on each GPU that shares them.
double most_kv(const Advice& advice) {
  const double shared_by = advice.spec.options.gpus / std::max(1.0, 1.0 * advice.spec.options.attention_dp.value_or(1));
  return static_cast<double>(advice.kv_per_request.value()) * advice.requests_tiered * shared_by;
}

/// Why not even one request fits, as sums of all GPUs.
std::string nothing_fits(const Advice& advice) {
  const auto size = [](double bytes) { return short_bytes(bytes); };
  return fmt::format("fits      no request: weights take {}, near memory has {}{}, far memory {}\n",
                     size(static_cast<double>(advice.spec.model->weight_bytes.value())), size(near_of_all(advice)),
                     advice.spec.options.gpus > 1 ? " in all" : "",
                     size(static_cast<double>(advice.spec.hardware.far.capacity.value())));
}

}  // namespace

std::string fit_sentence(const Advice& advice) {
  switch (advice.fit) {
    case FarHolds::kNothing:
      if (advice.requests_all_near == 0 && advice.requests_tiered == 0) {
        return nothing_fits(advice);
      }
      return fmt::format("fits      not {}; all KV near: {}, with far memory: {}\n",
                         requests(advice.spec.options.batch), requests(advice.requests_all_near),
                         requests(advice.requests_tiered));
    case FarHolds::kExperts:
      return fmt::format("fits      weights do not fit near: {} of the routed experts are, with all KV; {} at most{}\n",
                         percent(advice.asked()->experts_near, 1), requests(advice.requests_tiered),
                         most_kv(advice) > near_of_all(advice) ? ", with KV far as well" : "");
    case FarHolds::kWeights:
      return fmt::format("fits      weights do not fit near: some are read from far in each step, and KV; {} at most\n",
                         requests(advice.requests_tiered));
    case FarHolds::kKv:
      break;
  }
  std::string out = fmt::format("fits      all KV near: {}", requests(advice.requests_all_near));
  if (advice.requests_tiered > 0) {
    out += fmt::format(
        "; with {} in far memory: {}{}", advice.spec.engine.tiering == Tiering::kExperts ? "experts" : "KV",
        requests(advice.requests_tiered),
        advice.least_buffer_blocks > 0
            ? fmt::format(", at {} tokens near of each", with_commas(advice.least_buffer_blocks * advice.block_tokens))
            : std::string());
  }
  return out + "\n";
}

std::string workload_sentence(const Advice& advice) {
  if (!advice.synthetic) {
    return fmt::format("reads     those of {}\n", advice.workload);
  }
  const std::string layers = advice.trace_layers < advice.layers
                                 ? fmt::format(", {} layers in place of {}", advice.trace_layers, advice.layers)
                                 : std::string();
  return advice.workload == "dense"
             ? fmt::format("reads     all KV in each step (workload dense, no trace given{})\n", layers)
             : fmt::format("reads     workload {}, synthetic, as no trace was given{}\n", advice.workload, layers);
}

std::string conclusions(const Advice& advice) {
  std::string out = crossover_sentence(advice) + target_sentence(advice) + gains_sentence(advice) +
                    sensitivity_sentence(advice) + bound_sentence(advice) + serves_sentence(advice);
  out += advice.complete ? "" : "Time was up before all was varied: --time-limit gives more.\n";
  for (const std::string& choice : advice.assumes) {
    out += "Chosen: " + choice + "\n";
  }
  return out + settings_lines(advice);
}

}  // namespace kvplace::cli
