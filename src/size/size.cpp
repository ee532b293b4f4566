#include "kvplace/size/size.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "kvplace/base/parse.h"
#include "kvplace/simulate/compare.h"
#include "size/search.h"
#include "size/variation.h"

namespace kvplace {
namespace {

constexpr std::array kFinds{Find::kNearCapacity, Find::kBuffer, Find::kLink, Find::kBatch};
constexpr double kLeastTolerance = 1e-6;

class SizeSearch {
 public:
  SizeSearch(const TraceReader& trace, const Instance& instance, const SizeOptions& options, const RunContext& context)
      : trace_(trace),
        instance_(instance),
        options_(options),
        time_limit_(options.time_limit, context.interrupt),
        evaluator_(trace, context, time_limit_) {}

  Result<SizeResult> run() {
    KVPLACE_ASSIGN(scale, prepare());
    const Instance* const given = &instance_;
    const Result<std::vector<Seconds>> all_near =
        evaluator_.all_near(std::span(&given, 1), passes_of_worth(contenders_) + passes_of_crossover());
    if (!all_near) {
      return tl::unexpected(stopped_before_anything(all_near.error()));
    }
    all_near_ = all_near->front();
    result_.all_near_tokens_per_second = tokens_per_second(instance_, all_near_);
    const Status searched = scale ? search_scale(*scale) : search_cost_divisions();
    const Status done = searched && options_.crossover ? find_crossover() : searched;
    evaluator_.progress().close();
    if (!done && done.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(done.error());
    }
    if (!done) {
      result_.status = time_limit_.outer_requested() ? SizeStatus::kInterrupted : SizeStatus::kTimeLimit;
    }
    return std::move(result_);
  }

 private:
  /// All that can be wrong is found out here, before anything is replayed. No scale for a cost.
  Result<std::optional<Scale>> prepare() {
    KVPLACE_TRY(check());
    result_.manifest = make_manifest(trace_);
    result_.target = options_.target;
    result_.find = options_.find;
    result_.has_experts = instance_.layout().experts > 0;
    result_.experts_alone = instance_.experts_alone();
    for (const PolicySpec& policy : options_.policies) {
      contenders_.push_back({policy});
    }
    contenders_.push_back({});
    if (options_.target.kind == SizeTarget::Kind::kCost) {
      return std::optional<Scale>();
    }
    KVPLACE_ASSIGN(scale, make_scale(evaluator_, instance_, options_));
    result_.range = scale.range();
    return std::optional(std::move(scale));
  }

  Status check() const {
    if (instance_.steps() == 0 || competing_bytes(instance_).value() == 0) {
      return bad_input(trace_.path() + ": has no decode steps, or nothing that could be near, to size for");
    }
    KVPLACE_TRY(bound_numbers(instance_.for_bounds(), trace_));  // that there can be a certificate
    if (!(options_.tolerance >= kLeastTolerance && options_.tolerance < 1)) {
      return bad_input("the tolerance " + format_number(options_.tolerance) + " is not from 1e-6 to below 1");
    }
    if (!(options_.time_limit.value() > 0)) {
      return bad_input("the time limit must be more than 0 s");
    }
    const bool is_cost = options_.target.kind == SizeTarget::Kind::kCost;
    const bool priced = options_.price_near_per_gib > 0 && options_.price_link_per_gb_s > 0;
    if (is_cost && !priced) {
      return bad_input("a cost as target needs --price-near and --price-link above 0");
    }
    if (!is_cost && (options_.price_near_per_gib != 0 || options_.price_link_per_gb_s != 0)) {
      return bad_input("--price-near and --price-link are for a cost as target, like --target cost=500");
    }
    if (options_.crossover && instance_.layout().experts > 0) {
      return bad_input(
          "the trace has expert blocks, which requests share: its batch is always 1, so --crossover does "
          "not apply");
    }
    for (const PolicySpec& policy : options_.policies) {
      KVPLACE_TRY(check_policy(policy));
    }
    return {};
  }

  Status check_policy(const PolicySpec& policy) const {
    KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
    if (info->information == Information::kIdeal) {
      return bad_input("policy " + policy.name + " is a figure of merit, not a placement: it cannot be sized for");
    }
    if (options_.find == Find::kBuffer && !info->buffer_per_layer) {
      return bad_input("policy " + policy.name + " has no buffer per layer; size it with --find near-capacity");
    }
    return check_fits(policy, trace_, instance_);
  }

  [[nodiscard]] Error stopped_before_anything(const Error& error) const {
    if (error.kind != ErrorKind::kInterrupted || time_limit_.outer_requested()) {
      return error;
    }
    return {ErrorKind::kInterrupted, "the time limit ended before the all-near speed was known: give more than " +
                                         format_number(options_.time_limit.value()) + " s"};
  }

  Status search_scale(const Scale& scale) {
    const Prepare know = [&](std::span<const Instance* const> instances) { return know_all_near(instances); };
    const Judge judge = [&](const Instance& instance, Seconds total) {
      const Seconds limit = this->limit(instance);
      return Verdict{total <= limit, std::log(total / limit)};
    };
    KVPLACE_ASSIGN(searches, search_all(evaluator_, scale, contenders_, know, judge,
                                        passes_of_worth(contenders_) + passes_of_crossover()));
    return take(searches, [&](const Search& search) { return scale.spec(*search.number); });
  }

  Status search_cost_divisions() {
    KVPLACE_ASSIGN(searches, search_cost(evaluator_, instance_, options_, contenders_,
                                         passes_of_worth(contenders_) + passes_of_crossover()));
    return take(searches, [&](const Search& search) { return spec_of(instance_, *search.answer); });
  }

  /// All-near times are wanted at the batch of each instance where it varies; else at the instance given.
  Status know_all_near(std::span<const Instance* const> instances) {
    if (options_.find != Find::kBatch || options_.target.kind != SizeTarget::Kind::kShareOfAllNear) {
      return {};
    }
    std::vector<const Instance*> unknown;
    for (const Instance* instance : instances) {
      if (!all_near_by_batch_.contains(instance->all_requests())) {
        unknown.push_back(instance);
      }
    }
    if (unknown.empty()) {
      return {};
    }
    KVPLACE_ASSIGN(times, evaluator_.all_near(unknown, passes_of_worth(contenders_) + passes_of_crossover()));
    for (std::size_t i = 0; i < unknown.size(); ++i) {
      all_near_by_batch_[unknown[i]->all_requests()] = times[i];
    }
    return {};
  }

  /// The longest time that reaches the target.
  [[nodiscard]] Seconds limit(const Instance& instance) const {
    if (options_.target.kind == SizeTarget::Kind::kTokensPerSecond) {
      const double tokens = instance.tokens_decoded(instance.steps());
      return Seconds(tokens / options_.target.value);
    }
    const auto known = all_near_by_batch_.find(instance.all_requests());
    const Seconds all_near = known != all_near_by_batch_.end() ? known->second : all_near_;
    return Seconds(all_near.value() / options_.target.value);
  }

  [[nodiscard]] double passes_of_crossover() const {
    constexpr double kRounds = 8;
    return options_.crossover ? kRounds * static_cast<double>(options_.policies.size()) + kPassesOfBound : 0;
  }

  /// An error of kind kInterrupted if a search was cut short, or the measuring of the answers' worth.
  template <class SpecOf>
  Status take(std::vector<Search>& searches, const SpecOf& spec_of_answer) {
    bool open = false;
    std::vector<Answered> answered;
    std::vector<std::size_t> places;
    for (std::size_t c = 0; c < contenders_.size(); ++c) {
      const Contender& contender = contenders_[c];
      SizeAnswer answer;
      answer.certified = !contender.policy;
      answer.name = contender.policy ? contender.policy->label() : "(certified)";
      if (searches[c].answer) {
        KVPLACE_ASSIGN(at_answer, evaluator_.make(spec_of_answer(searches[c])));
        answered.push_back({&contender, std::move(at_answer), searches[c].answer->total});
        places.push_back(c);
      }
      answer.probes = std::move(searches[c].probes);
      answer.answer = searches[c].answer;
      answer.neighbour = searches[c].neighbour;
      answer.open = searches[c].open;
      open = open || answer.open;
      result_.answers.push_back(std::move(answer));
    }
    if (open) {
      return interrupted("stopped before all answers were known");
    }
    KVPLACE_ASSIGN(worths, measure_worth(evaluator_, answered, passes_of_crossover()));
    for (std::size_t i = 0; i < worths.size(); ++i) {
      result_.answers[places[i]].worth = worths[i];
    }
    return {};
  }

  /// The least batch that decodes faster than the most requests whose whole KV is near.
  Status find_crossover() {
    InstanceSpec shared = instance_.spec();
    if (!divides_near_memory()) {
      set_capacity(shared, Bytes(instance_.capacity().value() * instance_.options().batch));
    }
    KVPLACE_ASSIGN(base, evaluator_.make(shared));
    const Scale scale = batch_scale(evaluator_, base, 1);
    const std::int64_t all_near_batch = most_all_near();
    if (all_near_batch > 0) {
      KVPLACE_ASSIGN(instance, evaluator_.make(scale.spec(all_near_batch)));
      const Instance* const pointer = &instance;
      KVPLACE_ASSIGN(times, evaluator_.all_near(std::span(&pointer, 1), passes_of_crossover()));
      result_.all_near_batch = instance.all_requests();
      result_.all_near_batch_tokens_per_second = tokens_per_second(instance, times.front());
    }
    if (all_near_batch >= scale.most) {
      return {};
    }
    Scale beyond = scale;
    beyond.least = all_near_batch + 1;
    result_.crossover_range = beyond.range();
    const Prepare nothing = [](std::span<const Instance* const>) { return Status(); };
    const Judge faster = [&](const Instance& instance, Seconds total) {
      const double rate = tokens_per_second(instance, total);
      const double all_near = result_.all_near_batch_tokens_per_second;
      return Verdict{rate > all_near, std::log(all_near / rate)};
    };
    KVPLACE_ASSIGN(searches, search_all(evaluator_, beyond, contenders_, nothing, faster, 0));
    bool open = false;
    for (std::size_t c = 0; c < searches.size(); ++c) {
      result_.answers[c].crossover_probes = std::move(searches[c].probes);
      result_.answers[c].crossover = searches[c].answer;
      result_.answers[c].crossover_open = searches[c].open;
      open = open || searches[c].open;
    }
    return open ? interrupted("stopped before the crossover was known") : Status();
  }

  /// Whether what is left for KV depends on what else each request keeps near.
  [[nodiscard]] bool divides_near_memory() const {
    const InstanceOptions& options = instance_.options();
    return instance_.share().deployment && !options.near_capacity && !options.near_blocks_per_layer &&
           !options.near_fraction;
  }

  /// The most requests, of all GPUs together, whose whole KV is near.
  [[nodiscard]] std::int64_t most_all_near() const {
    const std::int64_t kv = kv_bytes_of_request(instance_).value();
    const std::int64_t groups = instance_.share().attention_dp;  // which share the requests
    const std::int64_t near = instance_.capacity().value() * instance_.options().batch;
    if (!divides_near_memory()) {
      return std::min(near / (kv + index_keys_of_request(instance_).value()) * groups, kMostBatch);
    }
    const auto fits = [&](std::int64_t batch) {
      InstanceSpec spec = instance_.spec();
      spec.options.batch = static_cast<std::uint32_t>(batch);
      const Result<Instance> instance = evaluator_.make(spec);
      return instance && instance->capacity().value() >= kv;
    };
    std::int64_t low = 0;
    std::int64_t high = std::min(instance_.share().near.memory.value() / kv * groups, kMostBatch) + 1;
    while (low + 1 < high) {
      const std::int64_t middle = low + (high - low) / 2;
      (fits(middle) ? low : high) = middle;
    }
    return low;
  }

  const TraceReader& trace_;
  const Instance& instance_;
  const SizeOptions& options_;
  TimeLimit time_limit_;
  Evaluator evaluator_;
  std::vector<Contender> contenders_;
  Seconds all_near_;
  std::map<std::uint32_t, Seconds> all_near_by_batch_;
  SizeResult result_;
};

}  // namespace

std::string to_text(Find find) {
  switch (find) {
    case Find::kNearCapacity:
      return "near-capacity";
    case Find::kBuffer:
      return "buffer";
    case Find::kLink:
      return "link";
    case Find::kBatch:
      return "batch";
  }
  return {};
}

Result<Find> parse_find(std::string_view text) {
  std::string names;
  for (const Find find : kFinds) {
    if (text == to_text(find)) {
      return find;
    }
    names += (names.empty() ? "" : ", ") + to_text(find);
  }
  return bad_input("what is to be found, " + in_quotes(text) + ", is none of " + names);
}

std::string to_text(RangeEnd end) {
  switch (end) {
    case RangeEnd::kEverythingNear:
      return "everything-near";
    case RangeEnd::kSearchLimit:
      return "search-limit";
    case RangeEnd::kFarMemory:
      return "far-memory";
    case RangeEnd::kNearMemory:
      return "near-memory";
  }
  return {};
}

std::string to_text(SizeStatus status) {
  switch (status) {
    case SizeStatus::kComplete:
      return "complete";
    case SizeStatus::kTimeLimit:
      return "time_limit";
    case SizeStatus::kInterrupted:
      return "interrupted";
  }
  return {};
}

std::vector<PolicySpec> default_size_policies(Find find) {
  const std::vector<std::string> names = find == Find::kBuffer
                                             ? std::vector<std::string>{"lru", "kvplace-budgets"}
                                             : std::vector<std::string>{"lru", "lru-global", "kvplace"};
  std::vector<PolicySpec> policies;
  for (const std::string& name : names) {
    policies.push_back(*PolicyRegistry::instance().parse(name));
  }
  return policies;
}

Result<SizeResult> find_size(const TraceReader& trace, const Instance& instance, const SizeOptions& options,
                             const RunContext& context) {
  return SizeSearch(trace, instance, options, context).run();
}

}  // namespace kvplace
