#include "kvplace/generate/merge.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "generate/admission.h"
#include "generate/merge_sources.h"
#include "generate/random.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/base/parse.h"
#include "trace/loop_watch.h"

namespace kvplace {
namespace {

constexpr double kLatestArrival = 1e8;  // decode steps

/// A request, and the trace that it reads as.
struct Planned {
  WaitingRequest waiting;
  std::size_t source = 0;
  bool cut = false;
};

/// In decode steps. Times of logs are differences of sums: what comes within a microsecond of a step's beginning, comes
/// with it.
double steps_of(double seconds, Seconds step_time) {
  const double steps = seconds / step_time.value();
  const double whole = std::round(steps);
  return std::abs(steps - whole) * step_time.value() < 1e-6 ? whole : steps;
}

/// The trace whose prompt is nearest in length; of equally near ones each in its turn.
std::size_t nearest(const std::vector<MergeSource>& sources, std::uint64_t prompt, std::size_t turn) {
  const auto distance = [&](std::size_t i) {
    return std::abs(static_cast<double>(sources[i].prompt_tokens) - static_cast<double>(prompt));
  };
  std::size_t best = turn % sources.size();
  for (std::size_t i = 1; i < sources.size(); ++i) {
    const std::size_t candidate = (turn + i) % sources.size();
    best = distance(candidate) < distance(best) ? candidate : best;
  }
  return best;
}

std::vector<Planned> plan_requests(const std::vector<MergeSource>& sources, const MergeOptions& options) {
  const Arrivals& arrivals = options.arrivals;
  std::size_t count = options.requests.value_or(
      static_cast<std::uint32_t>(arrivals.log ? arrivals.log->requests.size() : sources.size()));
  count = arrivals.log ? std::min(count, arrivals.log->requests.size()) : count;
  generate::Random random(options.seed);
  std::vector<Planned> planned(count);
  double seconds = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Planned& request = planned[i];
    request.source = i % sources.size();
    std::uint64_t output = sources[request.source].steps;
    if (arrivals.log) {
      const LoggedRequest& logged = arrivals.log->requests[i];
      request.source = nearest(sources, logged.input_tokens, i);
      output = logged.output_tokens;
      seconds = logged.arrival.value();
    } else if (arrivals.poisson_per_second && i > 0) {
      seconds -= std::log(1 - random.unit()) / *arrivals.poisson_per_second;
    }
    const MergeSource& source = sources[request.source];
    request.cut = output > source.steps;
    request.waiting = {steps_of(seconds, options.step_time), source.prompt_tokens,
                       static_cast<std::uint32_t>(std::min<std::uint64_t>(output, source.steps))};
  }
  return planned;
}

Status check_fit(const std::vector<Planned>& planned, const MergeOptions& options) {
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const WaitingRequest& request = planned[i].waiting;
    const std::uint64_t tokens = std::uint64_t{request.prompt_tokens} + request.output_tokens;
    if (options.kv_tokens && tokens > *options.kv_tokens) {
      return bad_input("request " + std::to_string(i) + " has " + std::to_string(tokens) +
                       " tokens and never fits: give --kv-tokens that many or more");
    }
    if (!(request.arrival <= kLatestArrival)) {
      return bad_input("request " + std::to_string(i) + " comes in decode step " + format_number(request.arrival) +
                       "; give a longer --step-time, or fewer --requests");
    }
  }
  return {};
}

/// The experts that the prompts of the requests there at the start used, those of the last request last.
std::vector<std::vector<std::uint32_t>> prompt_experts(const std::vector<const TraceMeta*>& metas) {
  std::vector<std::vector<std::uint32_t>> used;
  for (const TraceMeta* meta : metas) {
    if (meta->prompt_experts.empty()) {
      return {};
    }
    used.resize(meta->prompt_experts.size());
    for (std::size_t layer = 0; layer < used.size(); ++layer) {
      for (const std::uint32_t expert : meta->prompt_experts[layer]) {
        std::erase(used[layer], expert);
        used[layer].push_back(expert);
      }
    }
  }
  return used;
}

/// The record of all that run, from those of each.
class BatchRecord {
 public:
  explicit BatchRecord(const TraceMeta& meta) : meta_(meta) {}

  void clear() { reads_.clear(); }
  void add(const StepView& record, const BlockLayout& own, std::uint32_t of_source, std::uint32_t request) {
    const std::span<const BlockId> pages = meta_.layout.served->blocks_of(request);
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      const BlockId id = record.reads[i];
      const std::uint32_t bytes = record.read_bytes.empty() ? 0 : record.read_bytes[i];
      if (own.kind(id) == BlockKind::kExpert) {
        reads_.push_back({id, bytes});
      } else if (own.request(id) == of_source) {
        reads_.push_back({pages[own.page(id)], bytes});
      }
    }
  }
  /// Valid until the next clear().
  [[nodiscard]] StepView view(std::uint32_t step, std::uint32_t layer) {
    // Of an expert that several read, the whole (0 bytes) or the most.
    std::sort(reads_.begin(), reads_.end(),
              [](const Read& a, const Read& b) { return a.id != b.id ? a.id < b.id : a.bytes - 1 > b.bytes - 1; });
    const auto same = [](const Read& a, const Read& b) { return a.id == b.id; };
    reads_.erase(std::unique(reads_.begin(), reads_.end(), same), reads_.end());
    ids_.clear();
    bytes_.clear();
    for (const Read& read : reads_) {
      ids_.push_back(read.id);
      bytes_.push_back(read.bytes);
    }
    StepView view;
    view.step = StepIndex(step);
    view.layer = LayerIndex(layer);
    view.reads = ids_;
    view.read_bytes = meta_.has_read_bytes ? std::span<const std::uint32_t>(bytes_) : std::span<const std::uint32_t>();
    return view;
  }

 private:
  struct Read {
    BlockId id;
    std::uint32_t bytes = 0;
  };
  const TraceMeta& meta_;
  std::vector<Read> reads_;
  std::vector<BlockId> ids_;
  std::vector<std::uint32_t> bytes_;
};

Result<TraceTotals> write_batch(MergeSources& sources, const std::vector<Planned>& planned, const TraceMeta& meta,
                                const std::string& out, const MergeOptions& options, const RunContext& context) {
  const ServedRequests& served = *meta.layout.served;
  KVPLACE_ASSIGN(writer, TraceWriter::create(out, meta, options.writer));
  LoopWatch watch(context, "merging", served.steps(), "decode steps");
  BatchRecord batch(meta);
  for (std::uint32_t step = 0; step < served.steps(); ++step) {
    for (const std::uint32_t request : served.running(step)) {
      KVPLACE_TRY(sources.move_to(request, planned[request].source, step - served.all()[request].first_step));
    }
    for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
      batch.clear();
      for (const std::uint32_t request : served.running(step)) {
        const std::size_t source = planned[request].source;
        KVPLACE_ASSIGN(record, sources.record(request, layer));
        batch.add(record, sources.layout(source), sources.all()[source].request, request);
      }
      KVPLACE_TRY(writer.add(batch.view(step, layer)));
    }
    for (const std::uint32_t request : served.ending(step)) {
      sources.end(request);
    }
    KVPLACE_TRY(watch.advance());
  }
  return writer.finish();
}

}  // namespace

Result<Arrivals> parse_arrivals(const std::string& text) {
  constexpr std::string_view kPoisson = "poisson:";
  Arrivals arrivals;
  if (text.rfind(kPoisson, 0) == 0) {
    const Result<double> rate = parse_number(text.substr(kPoisson.size()));
    if (!rate || !(*rate > 0)) {
      return bad_input("--arrivals: " + in_quotes(text) + " needs a rate of more than 0 requests per second");
    }
    arrivals.poisson_per_second = *rate;
  } else if (!text.empty()) {
    KVPLACE_ASSIGN(log, read_request_log(text));
    arrivals.log = std::move(log);
  }
  return arrivals;
}

Result<MergeSummary> merge_traces(std::span<const std::string> traces, const std::string& out,
                                  const MergeOptions& options, const RunContext& context) {
  if (options.slots == 0 || options.requests == 0u || !(options.step_time.value() > 0)) {
    return bad_input("--slots, --requests and --step-time must be more than 0");
  }
  FileScope files;
  KVPLACE_TRY(files.claim(out));
  KVPLACE_ASSIGN(sources, MergeSources::open(traces));
  const std::vector<Planned> planned = plan_requests(sources.all(), options);
  KVPLACE_TRY(check_fit(planned, options));
  std::vector<WaitingRequest> waiting;
  MergeSummary summary;
  for (const Planned& request : planned) {
    waiting.push_back(request.waiting);
    summary.cut += request.cut ? 1 : 0;
  }
  Admission admission = admit(waiting, options.slots, options.kv_tokens);
  summary.mean_wait_steps = admission.mean_wait_steps;
  summary.idle_steps = admission.idle_steps;

  TraceMeta meta = sources.meta();
  const std::vector<ServedRequest> table = admission.requests;
  KVPLACE_ASSIGN(served,
                 ServedRequests::make(table, meta.layout.block_tokens, meta.layout.experts, sources.has_pages()));
  meta.layout = BlockLayout::of(std::move(served), meta.layout.experts, meta.layout.block_tokens);
  std::vector<const TraceMeta*> at_start;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    if (table[i].first_step == 0) {
      at_start.push_back(&sources.meta_of(planned[i].source));
    }
  }
  meta.prompt_experts = prompt_experts(at_start);
  meta.source = options.source.empty()
                    ? std::to_string(planned.size()) + " requests, " + std::to_string(options.slots) + " slots"
                    : options.source;
  summary.dropped_rankings = std::exchange(meta.has_ranking, false);
  KVPLACE_ASSIGN(totals, write_batch(sources, planned, meta, out, options, context));
  summary.totals = totals;
  summary.mean_running = static_cast<double>(totals.tokens()) / totals.steps;
  summary.meta = std::move(meta);
  return summary;
}

}  // namespace kvplace
