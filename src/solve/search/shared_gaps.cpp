#include "solve/search/shared_gaps.h"

namespace kvplace {

bool SharedGaps::fit(const Instance& instance) const {
  const InstanceOptions& options = instance.options();
  return start == Start::kFree && options.start == start && instance.groups() == groups &&
         instance.kv_row_bytes() == kv_row && instance.new_kv_bytes(LayerIndex(0)) == new_kv;
}

Result<SharedGaps> share_gaps(const TraceReader& trace, const Instance& instance, const RunContext& context) {
  KVPLACE_ASSIGN(classes, build_gap_classes(trace, instance, [&] { return context.stop_requested(); }, context));
  SharedGaps shared;
  shared.tables = make_window_tables(classes, instance.groups());
  shared.classes = std::move(classes);
  shared.start = instance.options().start;
  shared.groups = instance.groups();
  shared.kv_row = instance.kv_row_bytes();
  shared.new_kv = instance.new_kv_bytes(LayerIndex(0));
  return shared;
}

}  // namespace kvplace
