#include "trace/csv_row.h"

#include <algorithm>

#include "kvplace/base/parse.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kLargestId = kvt::kMostBlocksPerLayer - 1;
constexpr std::ptrdiff_t kMostDigits = 18;  // fit 64 bits

unsigned digit_of(char c) { return static_cast<unsigned>(static_cast<unsigned char>(c)) - '0'; }

std::string without_spaces(std::string_view text) {
  std::string kept;
  std::copy_if(text.begin(), text.end(), std::back_inserter(kept), [](char c) { return c != ' ' && c != '\t'; });
  return kept;
}

}  // namespace

std::string_view CsvRow::column_name() const {
  std::string_view rest = columns_;
  for (std::size_t i = 0; i < column_ && !rest.empty(); ++i) {
    rest.remove_prefix(std::min(rest.size(), rest.find(',') == rest.npos ? rest.size() : rest.find(',') + 1));
  }
  return rest.substr(0, rest.find(','));
}

std::string CsvRow::found() const {
  constexpr std::size_t kShown = 16;
  if (at_ == end_) {
    return "the end of the line";
  }
  if (*at_ == '\0') {
    return "a NUL byte";
  }
  return in_quotes(std::string_view(at_, std::min(kShown, static_cast<std::size_t>(end_ - at_))));
}

bool CsvRow::fail(const std::string& what) {
  error_ = "column " + std::string(column_name()) + " (character " + std::to_string(at_ - begin_ + 1) + "): " + what +
           "; a row is " + std::string(columns_);
  return false;
}

bool CsvRow::begin_column() {
  if (column_ > 0) {
    if (at_ == end_) {
      const auto expected = 1 + std::count(columns_.begin(), columns_.end(), ',');
      return fail("missing, the row has " + std::to_string(column_) + " of " + std::to_string(expected) + " columns");
    }
    if (*at_ != ',') {
      return fail("expected a comma before it, found " + found());
    }
    ++at_;
  }
  skip_spaces();
  return true;
}

bool CsvRow::end_column() {
  skip_spaces();
  if (at_ != end_ && *at_ != ',') {
    return fail("expected a comma or the end of the line behind it, found " + found());
  }
  ++column_;
  return true;
}

bool CsvRow::end() {
  if (at_ == end_) {
    return true;
  }
  error_ = "the row has more columns than " + std::to_string(column_) + ", found " + found() + "; a row is " +
           std::string(columns_) + ", with its lists in double quotes";
  return false;
}

bool CsvRow::number(std::uint64_t& value) {
  if (!begin_column()) {
    return false;
  }
  const char* const start = at_;
  value = 0;
  for (; digit_of(*at_) < 10; ++at_) {
    if (at_ - start >= kMostDigits) {
      at_ = start;
      return fail("expected a number of at most 18 digits, found " + found());
    }
    value = value * 10 + digit_of(*at_);
  }
  if (at_ == start || *at_ == '.' || *at_ == 'e' || *at_ == 'E') {
    at_ = start;
    return fail("expected a whole number of 0 or more, found " + found());
  }
  return end_column();
}

bool CsvRow::list(IdList& ids) {
  ids.size_ = 0;
  if (!begin_column()) {
    return false;
  }
  const bool in_quotes = *at_ == '"';
  if (in_quotes) {
    ++at_;
    skip_spaces();
  }
  if (*at_ != '[') {
    return fail("expected a list of ids in double quotes such as \"[1, 2, 300]\", found " + found());
  }
  ++at_;
  if (!list_items(ids, in_quotes)) {
    return false;
  }
  if (in_quotes) {
    skip_spaces();
    if (*at_ != '"') {
      return fail("expected a double quote behind the list, found " + found());
    }
    ++at_;
  }
  return end_column();
}

bool CsvRow::list_items(IdList& ids, bool in_quotes) {
  // Each id takes two characters at least. The line end behind the line stops every loop.
  const auto most = static_cast<std::size_t>(end_ - at_) / 2 + 1;
  if (ids.memory_.size() < most) {
    ids.memory_.resize(most);
  }
  std::uint32_t* out = ids.memory_.data();
  skip_spaces();
  if (*at_ == ']') {
    ++at_;
    return true;
  }
  while (true) {
    const char* const start = at_;
    std::uint64_t id = digit_of(*at_);
    if (id >= 10) {
      return fail_at_id(start);
    }
    for (++at_; digit_of(*at_) < 10; ++at_) {
      id = id * 10 + digit_of(*at_);
    }
    const bool too_large = id > kLargestId || at_ - start > kMostDigits;
    *out++ = static_cast<std::uint32_t>(id);
    skip_spaces();
    if (too_large) {
      return fail_at_id(start);
    }
    if (*at_ == ']') {
      break;
    }
    if (*at_ != ',') {
      return fail_at_id(start);
    }
    if (!in_quotes) {
      return fail("the list is not in double quotes, as it must be: \"[1, 2, 300]\"");
    }
    ++at_;
    skip_spaces();
  }
  ++at_;
  ids.size_ = static_cast<std::size_t>(out - ids.memory_.data());
  return true;
}

/// Tells why what begins at `id` is no id, or is not ended as one.
bool CsvRow::fail_at_id(const char* id) {
  const std::string rule = "ids are whole numbers from 0 to " + std::to_string(kLargestId);
  if (at_ != id && (at_ == end_ || *at_ == '"')) {
    return fail("the list has no ] at its end, found " + found());
  }
  if (at_ == end_ || *at_ == '\0') {
    return fail("expected an id, a comma or a ], found " + found());
  }
  const std::string_view rest(id, static_cast<std::size_t>(end_ - id));
  const std::string_view token = rest.substr(0, rest.find_first_of(",] \"\t"));
  const bool all_digits = std::all_of(token.begin(), token.end(), [](char c) { return digit_of(c) < 10; });
  const std::string text = "id " + in_quotes(token);
  const bool ended = *at_ == ',' || *at_ == ']';
  at_ = id;
  if (token.empty()) {
    return fail("expected an id, found " + found());
  }
  if (all_digits && ended) {
    return fail(text + " is too large; " + rule);
  }
  if (all_digits) {
    return fail("expected a comma or a ] behind " + text);
  }
  if (token.front() == '-') {
    return fail(text + " is negative; " + rule);
  }
  if (digit_of(token.front()) < 10 && token.find_first_of(".eE") != token.npos) {
    return fail(text + " has a fraction or an exponent; " + rule);
  }
  return fail(text + " is no number; " + rule);
}

Result<bool> next_csv_line(LineReader& lines, std::string_view& line) {
  while (true) {
    KVPLACE_ASSIGN(more, lines.next(line));
    if (!more || line.find_first_not_of(" \t") != line.npos) {
      return more;
    }
  }
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

bool begins_with_csv_header(std::string_view head, std::string_view columns) {
  std::string_view line = without_byte_order_mark(head.substr(0, head.find('\n')));
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return without_spaces(line) == columns;
}

Status read_csv_header(LineReader& lines, std::string_view columns) {
  std::string_view line;
  KVPLACE_ASSIGN(more, lines.next(line));
  if (!more) {
    return bad_input(lines.path() + ": is empty; expected the header " + std::string(columns));
  }
  line = without_byte_order_mark(line);
  constexpr std::size_t kLongestHeader = 200;
  if (line.size() > kLongestHeader || without_spaces(line) != columns) {
    return bad_input(lines.place() + ": expected the header " + std::string(columns) + ", found " +
                     in_quotes(line.substr(0, kLongestHeader)));
  }
  return {};
}

}  // namespace kvplace
