#include "size/search.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

/// A bound is above a time only if it is by more than adding up times in floating point may be off.
constexpr double kRounding = 1e-9;
constexpr double kUsualRounds = 8;    // of policies
constexpr double kUsualBounds = 5;    // of the bound
constexpr double kUsualShare = 0.75;  // of what a policy needs that the bound proves to be needed

struct Tried {
  std::int64_t number = 0;
  SizeProbe probe;
};

std::optional<SizeProbe> find(std::span<const Tried> tried, std::optional<std::int64_t> number) {
  for (const Tried& t : tried) {
    if (number && t.number == *number) {
      return t.probe;
    }
  }
  return std::nullopt;
}

class ScaleSearch {
 public:
  ScaleSearch(Evaluator& evaluator, const Scale& scale, std::span<const Contender> contenders, const Prepare& prepare,
              const Judge& judge, double after)
      : evaluator_(evaluator),
        scale_(scale),
        contenders_(contenders),
        prepare_(prepare),
        judge_(judge),
        after_(after),
        brackets_(contenders.size(), Bracket(scale.bracket())),
        lows_(contenders.size(), 1),
        tried_(contenders.size()) {}

  Result<std::vector<Search>> run() {
    std::vector<std::size_t> policies;
    std::vector<std::size_t> bounds;
    for (std::size_t c = 0; c < contenders_.size(); ++c) {
      (contenders_[c].policy ? policies : bounds).push_back(c);
    }
    const double passes_of_bounds = kPassesOfBound * static_cast<double>(bounds.size());
    Status status =
        search(policies, static_cast<double>(policies.size()), kUsualRounds, kUsualBounds * passes_of_bounds);
    if (status) {
      // What a policy reaches, the bound does not exclude.
      std::optional<std::int64_t> reached;
      for (const std::size_t c : policies) {
        const std::optional<std::int64_t> number = brackets_[c].reaches();
        reached = number && (!reached || *number < *reached) ? number : reached;
      }
      for (const std::size_t c : bounds) {
        if (reached) {
          brackets_[c].know_reaches(*reached);
        }
      }
      status = search(bounds, passes_of_bounds, kUsualBounds, 0);
    }
    if (!status && status.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(std::move(status).error());
    }
    std::vector<Search> searches;
    for (std::size_t c = 0; c < contenders_.size(); ++c) {
      searches.push_back(search_of(c));
    }
    return searches;
  }

 private:
  /// About so many rounds of about so many passes over the trace, and as many as `then` says for other contenders.
  Status search(std::span<const std::size_t> of, double passes, double rounds, double then) {
    for (;; rounds = std::max(1.0, rounds - 1)) {
      std::vector<std::size_t> active;
      std::vector<Instance> instances;
      instances.reserve(of.size());
      for (const std::size_t c : of) {
        if (const std::optional<std::int64_t> number = brackets_[c].next()) {
          KVPLACE_ASSIGN(instance, evaluator_.make(scale_.spec(*number)));
          instances.push_back(std::move(instance));
          active.push_back(c);
        }
      }
      if (active.empty()) {
        return {};
      }
      std::vector<Evaluator::Trial> trials;
      std::vector<const Instance*> of_round;
      for (std::size_t i = 0; i < active.size(); ++i) {
        trials.push_back({&contenders_[active[i]], &instances[i]});
        of_round.push_back(&instances[i]);
      }
      KVPLACE_TRY(prepare_(of_round));
      KVPLACE_ASSIGN(times, evaluator_.times(trials, passes * (rounds - 1) + then + after_));
      for (std::size_t i = 0; i < active.size(); ++i) {
        tell(active[i], instances[i], times[i]);
      }
    }
  }

  void tell(std::size_t c, const Instance& instance, const Timed& timed) {
    Bracket& bracket = brackets_[c];
    const bool is_bound = !contenders_[c].policy;
    const std::int64_t number = *bracket.next();
    const Verdict verdict = judge_(instance, is_bound ? timed.total * (1 - kRounding) : timed.total);
    tried_[c].push_back({number, probe_of(instance, scale_.value(number), timed.total, verdict.reached)});
    bracket.tell(number, verdict.reached, verdict.excess);
    if (is_bound && scale_.bytes_of_request > 0 && timed.capacity_price_s_per_byte > 0) {
      // The certificate proves a time that is straight in the capacity: with less than where it meets the target, its
      // bound is above it.
      const double over = timed.total.value() * (1 - std::exp(-verdict.excess));
      const double meets = static_cast<double>(number) +
                           over / (timed.capacity_price_s_per_byte * static_cast<double>(scale_.bytes_of_request));
      bracket.know_fails(static_cast<std::int64_t>(std::floor(std::max(meets, -1.0))));
    }
    if (is_bound && scale_.bytes_of_request > 0) {
      bracket.suggest_low(static_cast<std::int64_t>(std::floor(static_cast<double>(number) * kUsualShare)));
    }
    if (verdict.reached && scale_.lower) {
      bracket.suggest_low(scale_.lower(number, lows_[c]));
      lows_[c] *= 2;
    }
  }

  [[nodiscard]] Search search_of(std::size_t c) const {
    Search search;
    for (const Tried& t : tried_[c]) {
      search.probes.push_back(t.probe);
    }
    std::sort(search.probes.begin(), search.probes.end(),
              [](const SizeProbe& a, const SizeProbe& b) { return a.value < b.value; });
    const Bracket& bracket = brackets_[c];
    search.number = bracket.reaches();
    search.answer = find(tried_[c], bracket.reaches());
    search.neighbour = find(tried_[c], bracket.fails());
    search.open = bracket.next().has_value();
    return search;
  }

  Evaluator& evaluator_;
  const Scale& scale_;
  std::span<const Contender> contenders_;
  const Prepare& prepare_;
  const Judge& judge_;
  double after_;
  std::vector<Bracket> brackets_;
  std::vector<std::int64_t> lows_;  // how often a lower number was suggested, doubled each time
  std::vector<std::vector<Tried>> tried_;
};

}  // namespace

Result<std::vector<Search>> search_all(Evaluator& evaluator, const Scale& scale, std::span<const Contender> contenders,
                                       const Prepare& prepare, const Judge& judge, double after) {
  return ScaleSearch(evaluator, scale, contenders, prepare, judge, after).run();
}

}  // namespace kvplace
