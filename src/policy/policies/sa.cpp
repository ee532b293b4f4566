/// sa:
///
///     (w, r) = (5, 0.5);  temperature = 100
///     40 times:   replay sa-guided:w',r' for a neighbour (w', r');  temperature x= 0.95
///                 take it if it is faster, else with chance e^(-loss / temperature)
///     the result is the fastest trial's
#include <algorithm>
#include <cmath>
#include <map>

#include "kvplace/policy/registry.h"
#include "policy/support/random_number.h"

namespace kvplace {
namespace {

constexpr double kLeastRatio = 0.1;
constexpr double kLongestWindow = 127;

/// Simulated annealing over sa-guided's W and R, each trial a replay of the whole trace. The paper gives a temperature
/// of 100 without its unit; here the cost is a trial's time in percent of the first trial's.
Result<PolicySpec> anneal(const Parameters& p, std::uint64_t seed, const Evaluate& evaluate) {
  RandomNumber random(seed);
  const auto member = [&p](double window, double ratio) {
    return PolicySpec{"sa-guided", {{"w", window}, {"r", ratio}, {"accuracy", p.at("accuracy")}}};
  };
  std::map<std::pair<double, double>, double> known;
  const auto cost_of = [&](double window, double ratio) -> Result<double> {
    const auto found = known.find({window, ratio});
    if (found != known.end()) {
      return found->second;
    }
    KVPLACE_ASSIGN(time, evaluate(member(window, ratio)));
    return known[{window, ratio}] = time.value();
  };
  double window = 5;
  double ratio = 0.5;
  double temperature = p.at("temperature");
  KVPLACE_ASSIGN(start_cost, cost_of(window, ratio));
  double cost = start_cost;
  PolicySpec best = member(window, ratio);
  double best_cost = cost;
  for (int i = 0; i < static_cast<int>(p.at("iterations")); ++i) {
    const double new_window = std::clamp(window + random.below(7) - 3, 1.0, kLongestWindow);
    const double new_ratio = std::clamp(ratio + 0.6 * random.unit() - 0.3, kLeastRatio, 1.0);
    KVPLACE_ASSIGN(new_cost, cost_of(new_window, new_ratio));
    const double worse_percent = start_cost > 0 ? 100 * (new_cost - cost) / start_cost : 0;
    if (worse_percent <= 0 || random.unit() < std::exp(-worse_percent / temperature)) {
      window = new_window;
      ratio = new_ratio;
      cost = new_cost;
    }
    if (cost < best_cost) {
      best_cost = cost;
      best = member(window, ratio);
    }
    temperature *= p.at("cooling");
  }
  return best;
}

}  // namespace

void register_policy_sa(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "sa";
  info.doc = "sa-guided with W and R tuned on the whole trace by simulated annealing; costs one replay per iteration";
  info.source = "Fang et al., arXiv 2508.13231: SA-guided";
  info.information = Information::kLookahead;
  info.parameters = {{"iterations", "trials after the first", "replays", 40, 1, 100000, true},
                     {"temperature", "at the start", "percent of the first trial's time", 100, 1e-6, 1e6, false},
                     {"cooling", "factor on the temperature after each trial", "factor", 0.95, 0.01, 1, false}};
  info.search = anneal;
  registry.add(std::move(info));
}

}  // namespace kvplace
