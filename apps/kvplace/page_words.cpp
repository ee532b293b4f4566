#include "page_words.h"

#include <fmt/core.h>

#include <algorithm>

#include "advise_text.h"
#include "kvplace/base/short_text.h"
#include "kvplace/generate/workload.h"
#include "kvplace/instance/resolve.h"
#include "tables.h"
#include "verdicts.h"

namespace kvplace::cli {
namespace {

/// Text of several lines as one.
std::string one_line(std::string text) {
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// As a shell takes it for one word.
std::string shell_word(const std::string& word) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  std::string quoted = "'";
  for (const char c : word) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

std::string file_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

bool knows_past(const ReplayResult& result) {
  return result.information == Information::kCausal || result.information == Information::kRanked;
}

/// The fastest placement, of those that need not know the future if there is one.
const ReplayResult* closest(const std::vector<ReplayResult>& results) {
  const ReplayResult* best = nullptr;
  for (const ReplayResult& result : results) {
    if (result.information == Information::kIdeal) {
      continue;
    }
    const bool better = best == nullptr || (knows_past(result) && !knows_past(*best)) ||
                        (knows_past(result) == knows_past(*best) && result.total < best->total);
    best = better ? &result : best;
  }
  return best;
}

std::string closest_sentence(const Comparison& comparison, const Instance& instance) {
  const ReplayResult* best = closest(comparison.results);
  if (best == nullptr || comparison.lower_bound().value() <= 0) {
    return "No policy was compared.";
  }
  const double tokens = instance.tokens_decoded(best->steps);
  return fmt::format("The fastest policy compared{} is {}: {} per token, {:.2f} times {}.",
                     knows_past(*best) ? " that does not know the future" : "", best->policy.label(),
                     short_time(tokens > 0 ? best->total.value() / tokens : 0), best->total / comparison.lower_bound(),
                     comparison.covering() != nullptr ? "the certified bound" : "the perfect split");
}

/// What placement_verdict leaves out: that it matters, where the table shows it.
std::string matters_sentence(const Comparison& comparison, const Instance& instance) {
  if (std::string verdict = placement_verdict(comparison, instance, "compared"); !verdict.empty()) {
    return one_line(std::move(verdict));
  }
  const ReplayResult* best = closest(comparison.results);
  if (best == nullptr || !comparison.static_time || !comparison.placement_matters().value_or(false)) {
    return "Whether placement matters here is not known.";
  }
  return fmt::format("Placement matters here: static, which moves nothing, takes {:.3g} times as long as {}.",
                     *comparison.static_time / best->total, best->policy.label());
}

std::vector<std::string> advice_sentences(const Advice& advice) {
  std::vector<std::string> sentences{fmt::format("With all KV near {} request{} fit, with far memory {}.",
                                                 advice.requests_all_near, advice.requests_all_near == 1 ? "" : "s",
                                                 advice.requests_tiered)};
  const AdvicePoint* asked = advice.asked();
  if (asked == nullptr || (!asked->engine && !asked->best)) {
    sentences.push_back("What was asked for does not fit.");
    return sentences;
  }
  const auto speed = [](const Speed& one) {
    return fmt::format("{} tokens/s, {} per token", few_digits(one.tokens_per_second, 4), short_time(one.step_s));
  };
  std::string text = fmt::format("The batch of {}: ", asked->batch);
  text += asked->engine ? "the engine as it ships decodes " + speed(*asked->engine) : std::string();
  text += asked->best ? (asked->engine ? "; " : "") + asked->best->policy + " " + speed(*asked->best) : std::string();
  sentences.push_back(text + ".");
  return sentences;
}

}  // namespace

std::string config_text(const std::string& trace, const std::vector<PolicySpec>& policies, const InstanceSpec& spec) {
  std::string text = trace.empty() ? "" : "trace = " + toml_string(trace) + "\n";
  for (std::size_t i = 0; i < policies.size(); ++i) {
    text += (i == 0 ? "policies = [\"" : ", \"") + policies[i].text() + "\"";
  }
  return text + (policies.empty() ? "" : "]\n") + to_toml(spec);
}

std::vector<std::string> comparison_sentences(const Comparison& comparison, const Instance& instance) {
  std::vector<std::string> sentences{closest_sentence(comparison, instance), matters_sentence(comparison, instance)};
  if (const std::string ending = one_line(ending_verdict(comparison, instance)); !ending.empty()) {
    sentences.push_back(ending);
  }
  return sentences;
}

PageWords words_of(const Comparison& comparison, const TraceReader& trace, const Instance& instance,
                   const PageOrigin& origin) {
  const std::string& path = trace.path();
  const double near = static_cast<double>(instance.capacity().value()) * instance.options().batch;
  PageWords words;
  words.title = file_name(path) + " on " + instance.share().machine.name;
  words.asked =
      fmt::format("How fast can {} be decoded on {} with {} of near memory for {}, and which placement comes closest?",
                  file_name(path), instance.share().machine.name, short_bytes(near),
                  instance.experts_alone()        ? "experts"
                  : instance.layout().experts > 0 ? "KV and experts"
                                                  : "its KV");
  words.verdict = comparison_sentences(comparison, instance);
  words.described = describe(trace, instance);
  const bool workload = origin.flags.find("--workload") != std::string::npos;
  const std::string name = origin.verb + ".toml";
  words.again = fmt::format("kvplace {} --config {}{} {} {}.html\n\n# {}:\n", origin.verb, name,
                            origin.flags.empty() ? "" : " " + origin.flags, origin.verb == "report" ? "-o" : "--html",
                            origin.verb, name) +
                config_text(workload ? "" : path, origin.policies, instance.spec());
  return words;
}

PageWords words_of(const Advice& advice, const std::string& trace) {
  PageWords words;
  const InstanceOptions& options = advice.spec.options;
  const std::string& engine = advice.spec.engine.name;
  words.title = advice.spec.model->name + " on " + advice.spec.hardware.name;
  words.asked = fmt::format(
      "Do {} request{} of {} + {} tokens fit on {}{} with {}, how fast are they, and what is to be set or "
      "bought?",
      options.batch, options.batch == 1 ? "" : "s", format_tokens(advice.context), format_tokens(advice.output),
      options.gpus > 1 ? fmt::format("{} GPUs of ", options.gpus) : std::string(), advice.spec.hardware.name,
      engine.empty() ? "an ideal engine" : engine);
  words.verdict = advice_sentences(advice);
  words.described = advise_text(advice);
  words.again =
      fmt::format(
          "kvplace advise --config advise.toml --context {} --output {} {} --html advise.html\n\n# advise.toml:\n",
          advice.context, advice.output,
          trace.empty() ? "--workload " + shell_word(advice.workload) : "--trace " + shell_word(trace)) +
      config_text("", {}, advice.spec);
  return words;
}

Status write_page_of(const std::string& path, const Comparison& comparison, const TraceReader& trace,
                     const Instance& instance, const PageOrigin& origin) {
  if (path.empty()) {
    return {};
  }
  KVPLACE_ASSIGN(page, make_page("report", comparison_report_json(comparison, instance),
                                 words_of(comparison, trace, instance, origin)));
  return write_page(path, page);
}

Status write_page_of(const std::string& path, const Advice& advice, const std::string& trace) {
  if (path.empty()) {
    return {};
  }
  KVPLACE_ASSIGN(page, make_page("advise", to_json(advice), words_of(advice, trace)));
  return write_page(path, page);
}

}  // namespace kvplace::cli
