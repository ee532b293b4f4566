#include "kvplace/generate/merge.h"

#include <fmt/core.h>

#include <memory>

#include "app.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "tables.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

struct MergeFlags {
  std::vector<std::string> sources;
  std::string out;
  std::string arrivals;
  std::string step_time;
  std::string kv_tokens;
  std::string requests;
  std::string slots;
  MergeOptions options;
};

Result<std::uint64_t> positive(const std::string& flag, const std::string& text, std::uint64_t most) {
  const Result<std::uint64_t> value = parse_count(text);
  if (!value || *value == 0 || *value > most) {
    return bad_input(flag + ": " + in_quotes(text) + " is not a whole number of 1 to " + std::to_string(most));
  }
  return *value;
}

Result<MergeOptions> options_of(const MergeFlags& flags) {
  constexpr std::uint64_t kMostRequests = std::uint64_t{1} << 20;
  MergeOptions options = flags.options;
  if (!flags.slots.empty()) {
    KVPLACE_ASSIGN(slots, positive("--slots", flags.slots, kMostRequests));
    options.slots = static_cast<std::uint32_t>(slots);
  }
  if (!flags.requests.empty()) {
    KVPLACE_ASSIGN(requests, positive("--requests", flags.requests, kMostRequests));
    options.requests = static_cast<std::uint32_t>(requests);
  }
  if (!flags.kv_tokens.empty()) {
    KVPLACE_ASSIGN(kv_tokens, positive("--kv-tokens", flags.kv_tokens, std::uint64_t{1} << 50));
    options.kv_tokens = kv_tokens;
  }
  if (!flags.step_time.empty()) {
    const Result<Seconds> step_time = parse_seconds(flags.step_time);
    if (!step_time || !(step_time->value() > 0)) {
      return bad_input("--step-time: " + in_quotes(flags.step_time) + " is no time of more than 0, as 20ms");
    }
    options.step_time = *step_time;
  }
  KVPLACE_ASSIGN(arrivals, parse_arrivals(flags.arrivals));
  options.arrivals = std::move(arrivals);
  return options;
}

std::string text_of(const MergeFlags& flags, const MergeOptions& options, const MergeSummary& summary) {
  const TraceTotals& totals = summary.totals;
  const bool timed = options.arrivals.log || options.arrivals.poisson_per_second;
  std::string text = fmt::format(
      "{}: {} requests, {} at once at most and {:.3g} in the mean; {} decode steps of {} tokens, {} layers, "
      "{} reads, {} blocks per layer\n",
      flags.out, with_commas(summary.meta.layout.requests), summary.meta.layout.most_running(), summary.mean_running,
      with_commas(totals.steps), with_commas(totals.tokens()), summary.meta.layers, with_commas(totals.reads),
      with_commas(totals.blocks_per_layer));
  if (options.arrivals.log) {
    text += fmt::format(
        "arrivals: {}, {} requests{}\n", options.arrivals.log->format,
        with_commas(options.arrivals.log->requests.size()),
        options.arrivals.log->without_output == 0
            ? ""
            : fmt::format("; {} that generated nothing left out", with_commas(options.arrivals.log->without_output)));
  }
  text += fmt::format("waiting for a slot or room: {:.3g} decode steps in the mean", summary.mean_wait_steps);
  text += timed ? fmt::format(", at {} per step; {} steps in which nothing runs are left out\n",
                              format_seconds(options.step_time), with_commas(summary.idle_steps))
                : "\n";
  if (summary.cut > 0) {
    text += fmt::format("{} requests ask for more tokens than the traces have, and end with those\n",
                        with_commas(summary.cut));
  }
  if (summary.dropped_rankings) {
    text += "rankings are left out: those of different texts have no common order\n";
  }
  return text + "prompts arrive as written pages: what their prefill takes is in no time\n";
}

VerbResult run(const MergeFlags& flags) {
  KVPLACE_ASSIGN(options, options_of(flags));
  KVPLACE_ASSIGN(summary, merge_traces(flags.sources, flags.out, options, run_context(1)));
  KVPLACE_TRY(print(text_of(flags, options, summary)));
  return kDone;
}

}  // namespace

void add_merge(App& app) {
  auto flags = std::make_shared<MergeFlags>();
  CLI::App* verb = app.add_verb("merge", "Make a served batch (.kvt) of the traces of single requests",
                                [flags] { return run(*flags); });
  reads_file(verb->add_option("traces", flags->sources, "traces of one model; each request takes the next"))
      ->required();
  app.add_output(*verb, "-o,--out", flags->out, "trace to write")->required();
  verb->add_option("--arrivals", flags->arrivals,
                   "when requests come: a log of requests (Mooncake, Qwen-Bailian, Azure), whose lengths choose traces "
                   "and outputs, or `poisson:RATE`, so many per second at random")
      ->default_str("all at the start")
      ->type_name("ARRIVALS");
  verb->add_option("--requests", flags->requests, "how many; some 60,000 fit a trace")
      ->default_str("as many as the log has, or the traces")
      ->type_name("N");
  verb->add_option("--slots", flags->slots, "requests that run at once, at most")->default_str("8")->type_name("N");
  verb->add_option("--kv-tokens", flags->kv_tokens,
                   "tokens of KV that near and far have room for; a request waits until it fits to its end")
      ->default_str("what the slots ask for")
      ->type_name("N");
  verb->add_option("--step-time", flags->step_time, "a decode step's, by which arrivals become decode steps")
      ->default_str("20ms")
      ->type_name("TIME");
  verb->add_option("--seed", flags->options.seed, "of random arrivals")->default_str("1")->type_name("N");
  verb->add_option("--zstd-level", flags->options.writer.zstd_level, "1 to 19; changes size and speed only")
      ->default_str("3")
      ->type_name("N")
      ->check(CLI::Range(1, 19));
  add_quiet_flag(*verb);
}

}  // namespace kvplace::cli
