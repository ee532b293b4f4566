#include "kvplace/generate/import_requests.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "kvplace/base/file_guard.h"
#include "kvplace/generate/merge.h"

namespace kvplace {
namespace {

/// Files that are gone with it.
class Passing {
 public:
  Passing() = default;
  Passing(const Passing&) = delete;
  Passing& operator=(const Passing&) = delete;
  ~Passing() {
    for (const std::string& path : paths_) {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  }
  const std::string& add(std::string path) { return paths_.emplace_back(std::move(path)); }
  [[nodiscard]] const std::vector<std::string>& paths() const { return paths_; }

 private:
  std::vector<std::string> paths_;
};

Result<ImportSummary> import_together(const Format& format, std::span<const std::string> sources,
                                      std::span<const std::string> names, const std::string& out,
                                      const ImportOptions& options, const RunContext& context) {
  FileScope files;
  std::vector<InputUse> inputs;
  for (const std::string& source : sources) {
    inputs.emplace_back(source);
  }
  KVPLACE_TRY(files.claim(out));
  Passing single;
  std::string source;
  for (std::size_t i = 0; i < names.size(); ++i) {
    ImportOptions of_request = options;
    of_request.request = names[i];
    const std::string path = out + "." + std::to_string(getpid()) + "-" + std::to_string(i) + ".kvt";
    KVPLACE_ASSIGN(summary, format.import_trace(sources, single.add(path), of_request, context));
    source = source.empty() ? summary.meta.source : source;
  }
  MergeOptions together;
  together.slots = static_cast<std::uint32_t>(names.size());
  together.writer = options.writer;
  together.source = options.source.empty() ? source : options.source;
  KVPLACE_ASSIGN(merged, merge_traces(single.paths(), out, together, context));
  ImportSummary summary;
  summary.totals = merged.totals;
  summary.meta = std::move(merged.meta);
  summary.taken = std::to_string(names.size()) + " requests, which begin together (--request takes one)";
  return summary;
}

}  // namespace

Result<ImportSummary> import_requests(const Format& format, std::span<const std::string> sources,
                                      const std::string& out, const ImportOptions& options, const RunContext& context) {
  if (options.request.empty() && format.requests != nullptr) {
    KVPLACE_ASSIGN(names, format.requests(sources));
    if (names.size() > 1) {
      return import_together(format, sources, names, out, options, context);
    }
  }
  return format.import_trace(sources, out, options, context);
}

}  // namespace kvplace
