/// The order of a foreign trace's rows: by decode step, then by layer, without gaps.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "kvplace/base/result.h"

namespace kvplace {

struct SourceRecord;

/// How a format numbers its rows.
struct RowRules {
  /// Rows name their query. The first decode step of a query may have any number, and a query that begins again at 0
  /// in a further file is another one. Without queries the first decode step is 0, and a further file may begin again
  /// at 0, which goes on with the decode steps of the trace.
  bool has_queries = false;
  bool any_first_step = false;   ///< the first decode step may have any number
  bool any_first_layer = false;  ///< the first layer may have any number: dense layers come before it
  bool one_request = false;      ///< a file that begins again holds another request, which is refused
  bool counts_tokens = false;    ///< steps are numbered by their first token: one of several decoded leaves a gap
};

/// Where a row belongs in the trace.
struct RowPlace {
  std::uint32_t step = 0;  ///< decode step of the trace
  std::uint32_t layer = 0;
  std::uint32_t request = 0;  ///< queries in order of their first row
  std::uint32_t token = 0;    ///< tokens that the request decoded before
};

class RowOrder {
 public:
  explicit RowOrder(const RowRules& rules) : rules_(rules) {}

  void begin_file() { ++file_; }
  /// The place of the next row. Errors (without file and line) if rows are missing, double or out of order.
  [[nodiscard]] Status next(const SourceRecord& record, RowPlace& place);
  /// A file must end with a whole decode step.
  [[nodiscard]] Status end_file();

  /// Layers of a decode step; 0 until the first one is complete.
  [[nodiscard]] std::uint32_t layers() const { return layers_; }
  /// Number of the first layer.
  [[nodiscard]] std::uint32_t first_layer() const { return static_cast<std::uint32_t>(first_layer_); }
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
  [[nodiscard]] std::string rule() const;
  [[nodiscard]] std::string layer_range(std::uint64_t end) const;

  RowRules rules_;
  std::uint32_t file_ = 0;
  std::uint32_t layers_ = 0;
  std::uint32_t steps_ = 0;
  std::uint32_t requests_ = 0;
  std::unordered_map<std::uint64_t, Query> queries_;
  std::uint64_t query_ = 0;  ///< of the decode step at hand
  std::uint64_t step_ = 0;   ///< likewise, as the file numbers it
  std::uint64_t first_layer_ = 0;
  std::uint64_t next_layer_ = 0;  ///< as the file numbers it
  bool in_step_ = false;
  RowPlace place_;
};

}  // namespace kvplace
