/// What the targets of the import formats share.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "kvplace/trace/formats.h"
#include "require.h"

namespace kvplace::fuzz {

/// A file that exists in memory only.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(memfd_create("fuzz", 0)) {
    REQUIRE(descriptor_ >= 0);
    REQUIRE(::write(descriptor_, data, size) == static_cast<ssize_t>(size));
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// A name for an output of this process.
inline std::string output_path(const char* name) {
  static const std::string folder = std::filesystem::temp_directory_path().string();
  return folder + "/kvplace-fuzz-" + std::to_string(getpid()) + "-" + name;
}

/// True if a run of 7 to 9 digits could become an id whose trace is large; longer runs are errors.
inline bool asks_for_memory(const std::uint8_t* data, std::size_t size) {
  std::size_t run = 0;
  for (std::size_t i = 0; i <= size; ++i) {
    if (i < size && data[i] >= '0' && data[i] <= '9') {
      ++run;
    } else {
      if (run >= 7 && run <= 9) {
        return true;
      }
      run = 0;
    }
  }
  return false;
}

/// Imports the bytes under the name `trace`: what is accepted must read back, what is not must be named. Whatever they
/// are, they have a format by content or not.
inline Result<ImportSummary> import_bytes(const Format& format, const MemoryFile& file, const std::string& trace,
                                          const ImportOptions& options) {
  const std::string source = file.path();
  const auto recognised = FormatRegistry::instance().recognise(source);
  REQUIRE(recognised ? (*recognised)->import_trace != nullptr : recognised.error().message.starts_with(source));
  auto summary = format.import_trace(std::span(&source, 1), trace, options, {});
  if (!summary) {
    REQUIRE(summary.error().kind == ErrorKind::kBadInput && summary.error().message.starts_with(source));
    return summary;
  }
  const auto read = TraceReader::open(trace);
  REQUIRE(read && read->verify_digest() && read->totals().digest == summary->totals.digest);
  return summary;
}

/// Of a format that has no export.
inline void import_only(const char* format_name, const std::uint8_t* data, std::size_t size,
                        const ImportOptions& options) {
  const std::string trace = output_path("trace");
  if (import_bytes(**FormatRegistry::instance().find(format_name), MemoryFile(data, size), trace, options)) {
    std::filesystem::remove(trace);
  }
}

/// Imports the bytes; what is accepted must read back, and come back the same through an export.
inline void import_and_return(const char* format_name, const std::uint8_t* data, std::size_t size,
                              const ImportOptions& options) {
  const Format& format = **FormatRegistry::instance().find(format_name);
  const MemoryFile file(data, size);
  const std::string trace_path = output_path("trace");
  const auto summary = import_bytes(format, file, trace_path, options);
  if (!summary) {
    return;
  }
  const auto trace = TraceReader::open(trace_path);
  REQUIRE(trace);
  const std::string exported = output_path("export");
  const bool ranking = summary->meta.has_ranking;
  REQUIRE(format.export_trace(*trace, exported, {.ranking = ranking}, {}));
  ImportOptions again = options;
  if (!summary->prompt_tokens_inferred && !options.prompt_tokens) {
    again.prompt_tokens.reset();
  } else {
    again.prompt_tokens = summary->meta.layout.prompt_tokens;
  }
  if (format.name == "topk-npy") {
    again.prompt_rows = 0;  // only decode steps are exported, whatever their ids look like
  }
  const std::string again_path = output_path("again");  // the first one is still open
  const auto second = format.import_trace(std::span(&exported, 1), again_path, again, {});
  REQUIRE(second && second->totals.digest == summary->totals.digest);
  std::filesystem::remove(trace_path);
  std::filesystem::remove(again_path);
  std::filesystem::remove(exported);
}

}  // namespace kvplace::fuzz
