/// The order of a foreign trace's rows: by decode step, then by layer, without gaps.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "kvplace/base/result.h"
#include "trace/import_driver.h"

namespace kvplace {

/// Where a row belongs in the trace.
struct RowPlace {
  std::uint32_t step = 0;  ///< decode step of the trace
  std::uint32_t layer = 0;
  std::uint32_t request = 0;  ///< queries in order of their first row
  std::uint32_t token = 0;    ///< decode step of the request, from 0
};

class RowOrder {
 public:
  explicit RowOrder(bool has_queries) : has_queries_(has_queries) {}

  void begin_file() { ++file_; }
  /// The place of the next row. Errors (without file and line) if rows are missing, double or out of order.
  [[nodiscard]] Status next(const SourceRecord& record, RowPlace& place);
  /// A file must end with a whole decode step.
  [[nodiscard]] Status end_file();

  /// Layers of a decode step; 0 until the first one is complete.
  [[nodiscard]] std::uint32_t layers() const { return layers_; }
  /// Decode steps begun.
  [[nodiscard]] std::uint32_t steps() const { return steps_; }
  [[nodiscard]] std::uint32_t requests() const { return requests_; }

 private:
  struct Query {
    std::uint32_t request = 0;
    std::uint32_t tokens = 0;
    std::uint64_t next_step = 0;  ///< as the file numbers them
    std::uint32_t file = 0;       ///< of its last row
  };

  [[nodiscard]] Status begin_step(const SourceRecord& record);
  [[nodiscard]] Status end_step();
  [[nodiscard]] Status start_request(Query& query, std::uint64_t first_step);
  [[nodiscard]] std::string name_of(std::uint64_t step, std::uint64_t query) const;

  bool has_queries_;
  std::uint32_t file_ = 0;
  std::uint32_t layers_ = 0;
  std::uint32_t steps_ = 0;
  std::uint32_t requests_ = 0;
  std::unordered_map<std::uint64_t, Query> queries_;
  std::uint64_t query_ = 0;       ///< of the decode step at hand
  std::uint64_t step_ = 0;        ///< likewise, as the file numbers it
  std::uint64_t next_layer_ = 0;  ///< 0: no decode step is begun
  RowPlace place_;
};

}  // namespace kvplace
