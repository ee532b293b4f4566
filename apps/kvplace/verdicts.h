/// Every sentence in which the command concludes something: each from results, under a condition that is computed from
/// them; empty where the condition does not hold. tests/property/test_verdicts.cpp checks each on both sides.
#pragma once

#include <string>

#include "kvplace/generate/twin.h"
#include "kvplace/simulate/prove.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/size/budgets.h"
#include "kvplace/size/size.h"

namespace kvplace::cli {

/// Whether it matters where the KV lies (Comparison::placement_matters): said if it does not, and where the policies
/// compared look as if it did not. `which`: those that are "above", as in a table, or "compared".
[[nodiscard]] std::string placement_verdict(const Comparison& comparison, const Instance& instance,
                                            const std::string& which = "above");
/// That a replay was interrupted, or that the search for the bound or a policy's planning was cut short.
[[nodiscard]] std::string ending_verdict(const Comparison& comparison, const Instance& instance);
/// What the rows that are no policies say, and which rows no placement reaches.
[[nodiscard]] std::string legend(const Comparison& comparison);
/// The same of a stored schedule's table.
[[nodiscard]] std::string legend();

/// What bounds count of what an engine costs; nothing where it costs nothing.
[[nodiscard]] std::string costs_verdict(const Instance& instance);

/// What a certificate proves, and about which schedules.
[[nodiscard]] std::string proof_verdict(const Proof& proof);
[[nodiscard]] std::string proof_verdict(const VerifiedBound& bound, const Certificate& certificate);
/// By how much more near memory could lower the bound.
[[nodiscard]] std::string capacity_verdict(const Proof& proof, const Instance& instance);
/// How the search for the bound ended, and when.
[[nodiscard]] std::string search_verdict(const ProvenBound& bound);
/// How far the planned schedule is from the bound, and how its planning ended, which the search has no part in.
[[nodiscard]] std::string planning_verdict(const Proof& proof);
/// What the exact solutions are: of the linear relaxation; of the search over all schedules.
[[nodiscard]] std::string relaxation_verdict(const Proof& proof);
[[nodiscard]] std::string best_schedule_verdict(const ExactSolution& exact);

/// About which schedules the bound's row of a sizing speaks.
[[nodiscard]] std::string certified_scope(const SizeResult& result, const InstanceOptions& options);
/// Whether a twin is as near its original as it should be.
[[nodiscard]] std::string twin_verdict(const TwinReport& report);
/// Whether unequal budgets were given up.
[[nodiscard]] std::string budgets_verdict(const LayerBudgets& budgets);

}  // namespace kvplace::cli
