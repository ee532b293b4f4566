/// Import and export of small files in tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/trace/formats.h"
#include "support/temp_dir.h"
#include "trace/byte_sink.h"

namespace kvplace::testing {

using Ids = std::vector<std::uint32_t>;

inline Ids values(std::span<const BlockId> ids) {
  Ids all;
  for (const BlockId id : ids) {
    all.push_back(id.value());
  }
  return all;
}

/// `text` as a file of that name would hold it: compressed if it ends in .gz or .zst.
inline std::string packed(const std::string& name, std::string_view text) {
  const TempDir dir;
  Result<ByteSink> sink = ByteSink::create(dir.path(name));
  EXPECT_TRUE(sink && sink->write(text) && sink->commit());
  return TempDir::read(dir.path(name));
}
inline std::string gzip(std::string_view text) { return packed("file.gz", text); }
inline std::string zstd(std::string_view text) { return packed("file.zst", text); }

class FormatTest : public ::testing::Test {
 protected:
  static const Format& format(std::string_view name) { return **FormatRegistry::instance().find(name); }

  Result<ImportSummary> import_files(std::string_view name, const std::vector<std::string>& sources,
                                     const ImportOptions& options = {}) {
    return format(name).import_trace(sources, trace_path(), options, context_);
  }
  Result<ImportSummary> import_text(std::string_view name, std::string_view text, const ImportOptions& options = {}) {
    return import_files(name, {dir_.write("source", text)}, options);
  }
  /// The message of an import that must fail; what it names must be the file, and no trace may appear.
  std::string import_error(std::string_view name, std::string_view text, const ImportOptions& options = {}) {
    const Result<ImportSummary> result = import_text(name, text, options);
    EXPECT_FALSE(std::filesystem::exists(trace_path()));
    if (result) {
      return "no error";
    }
    EXPECT_EQ(result.error().kind, ErrorKind::kBadInput);
    EXPECT_TRUE(result.error().message.starts_with(dir_.path("source"))) << result.error().message;
    return result.error().message.substr(std::min(result.error().message.size(), dir_.path("source").size()));
  }
  /// What the imported trace holds when it is read back.
  Segment records() {
    const Result<TraceReader> trace = TraceReader::open(trace_path());
    EXPECT_TRUE(trace && trace->verify_digest() && trace->num_chunks() == 1);
    return *trace->chunk(0);
  }
  Status export_to(std::string_view name, const std::string& out, const ExportOptions& options = {}) {
    const Result<TraceReader> trace = TraceReader::open(trace_path());
    return format(name).export_trace(*trace, out, options, context_);
  }
  [[nodiscard]] std::string trace_path() const { return dir_.path("trace.kvt"); }

  TempDir dir_;
  RunContext context_;
};

/// Fails with the whole message unless it contains `part`.
inline void expect_part(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nhas no: " << part;
}

}  // namespace kvplace::testing
