#include "runtime/memory/mapped_memory.h"

#include <numa.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kvplace/base/short_text.h"

#ifndef MADV_POPULATE_WRITE  // in the C library's headers from 2.35 on
#define MADV_POPULATE_WRITE 23
#endif

namespace kvplace {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kSystemPage = 4096;

/// Memory in place: a piece is complete as soon as it is submitted.
class MappedMemory final : public Memory {
 public:
  MappedMemory(Mapping mapping, std::string name, Bytes capacity) : mapping_(std::move(mapping)) {
    describe(std::move(name), capacity, capacity, kMappedAlignment);
  }

  [[nodiscard]] std::byte* address() override { return mapping_.data(); }

  Status submit(std::span<const Piece> pieces) override {
    for (const Piece& piece : pieces) {
      std::byte* const place = mapping_.data() + piece.offset;
      const bool reads = piece.direction == Direction::kRead;
      std::memcpy(reads ? piece.buffer : place, reads ? place : piece.buffer, piece.bytes);
      complete_.push_back(piece.tag);
    }
    return {};
  }

  Status collect(std::vector<std::uint64_t>& complete, bool) override {
    complete.insert(complete.end(), complete_.begin(), complete_.end());
    complete_.clear();
    return {};
  }

  [[nodiscard]] std::size_t in_flight() const override { return complete_.size(); }

 private:
  Mapping mapping_;
  std::vector<std::uint64_t> complete_;
};

Bytes machine_memory() {
  struct sysinfo info{};
  return sysinfo(&info) == 0 ? Bytes(static_cast<std::int64_t>(info.totalram) * info.mem_unit) : Bytes(0);
}

}  // namespace

Result<Mapping> Mapping::make(Bytes size, int node, const std::string& name) {
  if (size <= Bytes(0)) {
    return bad_input(name + ": a memory of no bytes holds nothing; give it a capacity");
  }
  if (size > machine_memory()) {
    return bad_input(name + ": " + short_bytes(static_cast<double>(size.value())) + " are more than the " +
                     short_bytes(static_cast<double>(machine_memory().value())) +
                     " of this machine's memory; give it less");
  }
  const std::size_t bytes = (static_cast<std::size_t>(size.value()) + kSystemPage - 1) / kSystemPage * kSystemPage;
  const std::size_t mapped = bytes + kHugePage;
  void* const base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    return failed(name + ": the system has no " + short_bytes(static_cast<double>(size.value())) +
                  " for it: " + std::strerror(errno));
  }
  const auto first = reinterpret_cast<std::uintptr_t>(base);
  const std::uintptr_t aligned = (first + kHugePage - 1) / kHugePage * kHugePage;
  Mapping mapping(base, mapped, reinterpret_cast<std::byte*>(aligned));
  madvise(mapping.data(), bytes, MADV_HUGEPAGE);  // or not: it is only faster
  if (node >= 0) {
    numa_tonode_memory(mapping.data(), bytes, node);
  }
  // Here, not while something is timed; and what the system does not have shows here.
  if (madvise(mapping.data(), bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    return failed(name + ": the system has no " + short_bytes(static_cast<double>(size.value())) +
                  " for it: " + std::strerror(errno));
  }
  return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), mapped_(other.mapped_), data_(other.data_) {}

Mapping::~Mapping() {
  if (base_ != nullptr) {
    munmap(base_, mapped_);
  }
}

Result<MemoryPtr> make_dram_memory(Bytes capacity) {
  KVPLACE_ASSIGN(mapping, Mapping::make(capacity, -1, "dram"));
  return std::make_unique<MappedMemory>(std::move(mapping), "dram", capacity);
}

Result<MemoryPtr> make_numa_memory(std::uint32_t node, Bytes capacity) {
  const std::string name = "numa:" + std::to_string(node);
  const int nodes = numa_available() < 0 ? 1 : numa_num_configured_nodes();
  if (nodes < 2) {
    return bad_input(name +
                     ": this machine has one NUMA node, so no memory is farther than another; take paced:2GB/s "
                     "or file:PATH");
  }
  if (node >= static_cast<std::uint32_t>(nodes)) {
    return bad_input(name + ": this machine has nodes 0 to " + std::to_string(nodes - 1));
  }
  KVPLACE_ASSIGN(mapping, Mapping::make(capacity, static_cast<int>(node), name));
  return std::make_unique<MappedMemory>(std::move(mapping), name, capacity);
}

}  // namespace kvplace
