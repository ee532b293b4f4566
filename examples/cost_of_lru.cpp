// What an LRU buffer costs on a trace for growing near memory: cost_of_lru TRACE.kvt HARDWARE
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/compare.h"

namespace {

kvplace::Result<kvplace::Comparison> cost(const kvplace::TraceReader& trace, const std::string& hardware,
                                          std::uint32_t near_blocks_per_layer) {
  const std::vector<kvplace::ConfigEntry> entries{
      {"hardware", hardware, "argument 2"},
      {"options.near_blocks_per_layer", std::to_string(near_blocks_per_layer), "example"},
      {"options.weight_bytes_per_step", "0", "example"},
  };
  KVPLACE_ASSIGN(spec, kvplace::resolve_spec(entries, trace.meta()));
  KVPLACE_ASSIGN(instance, kvplace::Instance::make(spec, trace.meta(), trace.totals()));
  KVPLACE_ASSIGN(lru, kvplace::PolicyRegistry::instance().parse("lru"));
  return kvplace::compare(trace, instance, {&lru, 1}, kvplace::RunContext());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: cost_of_lru TRACE.kvt HARDWARE\n");
    return 2;
  }
  const auto trace = kvplace::TraceReader::open(argv[1]);
  if (!trace) {
    std::fprintf(stderr, "%s\n", trace.error().message.c_str());
    return 2;
  }
  std::printf("near blocks per layer  far reads  total ms  perfect split ms\n");
  for (const std::uint32_t near : {64u, 96u, 128u, 192u}) {
    const auto comparison = cost(*trace, argv[2], near);
    if (!comparison) {
      std::fprintf(stderr, "%s\n", comparison.error().message.c_str());
      return 2;
    }
    const kvplace::ReplayResult& lru = comparison->results.front();
    std::printf("%21u  %9llu  %8.2f  %16.2f\n", near, static_cast<unsigned long long>(lru.far_reads),
                lru.total.value() * 1e3, comparison->bounds.perfect_split.value() * 1e3);
  }
  return 0;
}
