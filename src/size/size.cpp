#include "kvplace/size/size.h"

#include <algorithm>
#include <array>
#include <map>

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
      : trace_(trace), instance_(instance), options_(options), evaluator_(trace, options, context) {}

  Result<SizeResult> run() {
    KVPLACE_TRY(check());
    result_.manifest = make_manifest(trace_);
    result_.target = options_.target;
    result_.find = options_.find;
    for (const PolicySpec& policy : options_.policies) {
      contenders_.push_back({policy});
    }
    contenders_.push_back({});
    const Instance* const given = &instance_;
    KVPLACE_ASSIGN(all_near, evaluator_.all_near(std::span(&given, 1)));
    all_near_ = all_near.front();
    result_.all_near_tokens_per_second = tokens_per_second(instance_, all_near_);
    if (options_.target.kind == SizeTarget::Kind::kCost) {
      KVPLACE_ASSIGN(searches, search_cost(evaluator_, instance_, options_, contenders_));
      KVPLACE_TRY(take(searches, [&](const Search& search) { return spec_of(instance_, *search.answer); }));
    } else {
      KVPLACE_ASSIGN(scale, make_scale(instance_, options_));
      const auto prepare = [&](std::span<const Instance* const> instances) { return know_all_near(instances); };
      const auto reaches = [&](const Instance& instance, Seconds total) { return total <= limit(instance); };
      KVPLACE_ASSIGN(searches, search_all(evaluator_, scale, contenders_, prepare, reaches));
      KVPLACE_TRY(take(searches, [&](const Search& search) { return scale.spec(*search.number); }));
    }
    if (options_.crossover) {
      KVPLACE_TRY(find_crossover());
    }
    return std::move(result_);
  }

 private:
  Status check() const {
    if (instance_.steps() == 0 || kv_bytes_of_request(instance_).value() == 0) {
      return bad_input(trace_.path() + ": has no decode steps or no KV to size for");
    }
    if (!(options_.tolerance >= kLeastTolerance && options_.tolerance < 1)) {
      return bad_input("the tolerance " + format_number(options_.tolerance) + " is not from 1e-6 to below 1");
    }
    const bool priced = options_.price_near_per_gib > 0 && options_.price_link_per_gb_s > 0;
    if (options_.target.kind == SizeTarget::Kind::kCost && !priced) {
      return bad_input("a cost as target needs --price-near and --price-link above 0");
    }
    for (const PolicySpec& policy : options_.policies) {
      KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
      if (info->information == Information::kIdeal) {
        return bad_input("policy " + policy.name + " is a figure of merit, not a placement: it cannot be sized for");
      }
      if (options_.find == Find::kBuffer && !info->buffer_per_layer) {
        return bad_input("policy " + policy.name + " has no buffer per layer; size it with --find near-capacity");
      }
    }
    return {};
  }

  /// All-near times are wanted at the batch of each instance where it varies; else at the instance given.
  Status know_all_near(std::span<const Instance* const> instances) {
    if (options_.find != Find::kBatch || options_.target.kind != SizeTarget::Kind::kShareOfAllNear) {
      return {};
    }
    std::vector<const Instance*> unknown;
    for (const Instance* instance : instances) {
      if (!all_near_by_batch_.contains(instance->options().batch)) {
        unknown.push_back(instance);
      }
    }
    if (unknown.empty()) {
      return {};
    }
    KVPLACE_ASSIGN(times, evaluator_.all_near(unknown));
    for (std::size_t i = 0; i < unknown.size(); ++i) {
      all_near_by_batch_[unknown[i]->options().batch] = times[i];
    }
    return {};
  }

  /// The longest time that reaches the target.
  [[nodiscard]] Seconds limit(const Instance& instance) const {
    if (options_.target.kind == SizeTarget::Kind::kTokensPerSecond) {
      const double tokens = static_cast<double>(instance.steps()) * instance.options().batch;
      return Seconds(tokens / options_.target.value);
    }
    const auto known = all_near_by_batch_.find(instance.options().batch);
    const Seconds all_near = known != all_near_by_batch_.end() ? known->second : all_near_;
    return Seconds(all_near.value() / options_.target.value);
  }

  template <class SpecOf>
  Status take(std::vector<Search>& searches, const SpecOf& spec_of_answer) {
    for (std::size_t c = 0; c < contenders_.size(); ++c) {
      const Contender& contender = contenders_[c];
      SizeAnswer answer;
      answer.certified = !contender.policy;
      answer.name = contender.policy ? contender.policy->label() : "(certified)";
      if (searches[c].answer) {
        KVPLACE_ASSIGN(at_answer, evaluator_.make(spec_of_answer(searches[c])));
        KVPLACE_ASSIGN(worth, measure_worth(trace_, evaluator_, contender, at_answer, searches[c].answer->total));
        answer.worth = worth;
      }
      answer.probes = std::move(searches[c].probes);
      answer.answer = searches[c].answer;
      answer.neighbour = searches[c].neighbour;
      result_.answers.push_back(std::move(answer));
    }
    return {};
  }

  /// The least batch that decodes faster than the most requests whose whole KV is near.
  Status find_crossover() {
    const std::int64_t near = instance_.capacity().value() * instance_.options().batch;
    const std::int64_t fit = near / kv_bytes_of_request(instance_).value();
    const std::int64_t most = most_requests(instance_);
    InstanceSpec shared = instance_.spec();
    set_capacity(shared, Bytes(near));
    if (fit > 0) {
      shared.options.batch = static_cast<std::uint32_t>(std::min<std::int64_t>(fit, 1u << 20));
      KVPLACE_ASSIGN(all_near_batch, evaluator_.make(shared));
      const Instance* const pointer = &all_near_batch;
      KVPLACE_ASSIGN(times, evaluator_.all_near(std::span(&pointer, 1)));
      result_.all_near_batch = shared.options.batch;
      result_.all_near_batch_tokens_per_second = tokens_per_second(all_near_batch, times.front());
    }
    const std::int64_t least = std::int64_t{result_.all_near_batch} + 1;
    if (least > most) {
      return {};
    }
    KVPLACE_ASSIGN(base, evaluator_.make(shared));
    const Scale scale = batch_scale(base, least);
    const auto prepare = [](std::span<const Instance* const>) { return Status(); };
    const auto faster = [&](const Instance& instance, Seconds total) {
      return tokens_per_second(instance, total) > result_.all_near_batch_tokens_per_second;
    };
    KVPLACE_ASSIGN(searches, search_all(evaluator_, scale, contenders_, prepare, faster));
    for (std::size_t c = 0; c < searches.size(); ++c) {
      result_.answers[c].crossover_probes = std::move(searches[c].probes);
      result_.answers[c].crossover = searches[c].answer;
    }
    return {};
  }

  const TraceReader& trace_;
  const Instance& instance_;
  const SizeOptions& options_;
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
