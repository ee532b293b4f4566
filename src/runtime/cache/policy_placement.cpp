#include "runtime/cache/policy_placement.h"

namespace kvplace {

Result<std::unique_ptr<PolicyPlacement>> PolicyPlacement::make(const ReplayJob& job) {
  std::unique_ptr<PolicyPlacement> placement(new PolicyPlacement(job));
  KVPLACE_TRY(placement->run_.prepare());
  return placement;
}

}  // namespace kvplace
