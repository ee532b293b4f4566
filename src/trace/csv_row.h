/// One row of a CSV file whose columns are whole numbers and lists of block ids: 0,3,"[1, 2, 300]".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "trace/byte_source.h"

namespace kvplace {

/// Ids of one list. The memory is kept from row to row.
class IdList {
 public:
  [[nodiscard]] std::span<const std::uint32_t> ids() const { return std::span(memory_).first(size_); }

 private:
  friend class CsvRow;
  std::vector<std::uint32_t> memory_;
  std::size_t size_ = 0;
};

/// Reads the columns from left to right. Every function is false on an error, which error() tells, without the place.
/// Spaces are allowed between values.
class CsvRow {
 public:
  /// `line` as LineReader gives it: with a line end behind it. `columns` is the header, for messages.
  CsvRow(std::string_view line, std::string_view columns)
      : begin_(line.data()), at_(line.data()), end_(line.data() + line.size()), columns_(columns) {}

  [[nodiscard]] bool number(std::uint64_t& value);
  [[nodiscard]] bool list(IdList& ids);
  /// No column may follow.
  [[nodiscard]] bool end();
  [[nodiscard]] std::string error() const { return error_; }

 private:
  [[nodiscard]] bool begin_column();
  [[nodiscard]] bool end_column();
  void skip_spaces() {
    while (*at_ == ' ' || *at_ == '\t') {
      ++at_;
    }
  }
  [[nodiscard]] bool list_items(IdList& ids, bool in_quotes);
  [[nodiscard]] std::string_view column_name() const;
  [[nodiscard]] std::string found() const;
  bool fail(const std::string& what);
  bool fail_at_id(const char* id);

  const char* begin_;
  const char* at_;
  const char* end_;
  std::string_view columns_;
  std::size_t column_ = 0;
  std::string error_;
};

/// Some programs write three bytes before a text that is UTF-8.
[[nodiscard]] std::string_view without_byte_order_mark(std::string_view text);

/// Reads the header and checks it against `columns` ("n,l,read_kv").
[[nodiscard]] Status read_csv_header(LineReader& lines, std::string_view columns);

/// Whether a file begins with that header.
[[nodiscard]] bool begins_with_csv_header(std::string_view head, std::string_view columns);

/// The next line that holds more than spaces; false at the end.
[[nodiscard]] Result<bool> next_csv_line(LineReader& lines, std::string_view& line);

}  // namespace kvplace
