#include "model/support/family.h"

#include <algorithm>

namespace kvplace {

void register_all(FamilyRegistry& registry);  // generated from the files in families/

const FamilyRegistry& FamilyRegistry::instance() {
  static const FamilyRegistry kAll = [] {
    FamilyRegistry registry;
    register_all(registry);
    return registry;
  }();
  return kAll;
}

const Family* FamilyRegistry::find(std::string_view model_type) const {
  for (const Family& family : families_) {
    if (std::find(family.model_types.begin(), family.model_types.end(), model_type) != family.model_types.end()) {
      return &family;
    }
  }
  return nullptr;
}

}  // namespace kvplace
