/// Rows of named values, one per line: JSON objects, or CSV with a header.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "trace/byte_source.h"

namespace kvplace {

/// One value of a row. Buffers are kept from row to row.
struct RecordValue {
  enum class Kind : std::uint8_t { kMissing, kNumber, kText, kList };
  Kind kind = Kind::kMissing;
  std::uint64_t number = 0;         ///< of kNumber
  std::string text;                 ///< of kText
  std::vector<std::uint32_t> list;  ///< of kList: ids without padding (-1)

  /// A number or a text as a name.
  [[nodiscard]] std::string name() const { return kind == Kind::kNumber ? std::to_string(number) : text; }
};

class RecordRows {
 public:
  virtual ~RecordRows() = default;

  /// `columns` are the names of the values wanted, "" for none. Which of the two kinds it is, the first line that holds
  /// more than blanks tells.
  [[nodiscard]] static Result<std::unique_ptr<RecordRows>> open(const std::string& path,
                                                                std::span<const std::string> columns);
  /// False at the end; values[i] is that of columns[i], kMissing if the row has none. Errors name file and place.
  [[nodiscard]] virtual Result<bool> next(std::span<RecordValue> values) = 0;
  /// Where the row last read stands: "trace.csv:12".
  [[nodiscard]] virtual std::string place() const = 0;
  /// Names that a row has, for messages.
  [[nodiscard]] virtual std::string names() const = 0;
  /// Lines before the header of a CSV that begin with '#', without it.
  [[nodiscard]] std::span<const std::string> preamble() const { return preamble_; }

 protected:
  std::vector<std::string> preamble_;
};

/// The names in the first row of a file that begins so: keys of a JSON object on one line, or columns of a CSV behind
/// lines of '#'. Empty if it is neither, or the first row is not whole.
[[nodiscard]] std::vector<std::string> names_of_first_row(std::string_view head);

}  // namespace kvplace
