#include "trace/record_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kvplace/base/parse.h"
#include "trace/csv_row.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

using Json = nlohmann::json;

std::string joined(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + in_quotes(name);
  }
  return text;
}

/// What was found, for messages: a number as it is, else its kind.
std::string found_text(const Json& json) { return json.is_number() ? in_quotes(json.dump()) : json.type_name(); }

/// Takes a value over; the error is what was expected.
Status take_value(const Json& json, RecordValue& value) {
  value.kind = RecordValue::Kind::kMissing;
  if (json.is_number_unsigned()) {
    value.kind = RecordValue::Kind::kNumber;
    value.number = json.get<std::uint64_t>();
    return {};
  }
  if (json.is_string()) {
    value.kind = RecordValue::Kind::kText;
    value.text = json.get<std::string>();
    return {};
  }
  if (json.is_null()) {
    return {};
  }
  if (!json.is_array()) {
    return bad_input("expected a whole number of 0 or more, a text or a list of ids, found " + found_text(json));
  }
  value.kind = RecordValue::Kind::kList;
  value.list.clear();
  for (const Json& element : json) {
    if (element.is_number_integer() && !element.is_number_unsigned() && element.get<std::int64_t>() == -1) {
      continue;
    }
    if (!element.is_number_unsigned() || element.get<std::uint64_t>() >= kvt::kMostBlocksPerLayer) {
      return bad_input("id " + found_text(element) + " is none; ids are whole numbers from 0 to " +
                       std::to_string(kvt::kMostBlocksPerLayer - 1) + ", and -1 where a row has fewer");
    }
    value.list.push_back(element.get<std::uint32_t>());
  }
  return {};
}

class JsonRows : public RecordRows {
 public:
  JsonRows(LineReader lines, std::span<const std::string> columns)
      : lines_(std::move(lines)), columns_(columns.begin(), columns.end()) {}

  Result<bool> next(std::span<RecordValue> values) override {
    std::string_view line;
    KVPLACE_ASSIGN(more, next_csv_line(lines_, line));
    if (!more) {
      return false;
    }
    row_ = Json::parse(without_byte_order_mark(line), nullptr, false);
    if (!row_.is_object()) {
      return bad_input(place() + ": expected a JSON object per line, found " + in_quotes(line));
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      values[i].kind = RecordValue::Kind::kMissing;
      const auto found = row_.find(columns_[i]);
      if (columns_[i].empty() || found == row_.end()) {
        continue;
      }
      if (Status status = take_value(*found, values[i]); !status) {
        return bad_input(place() + ": " + columns_[i] + ": " + status.error().message);
      }
    }
    return true;
  }
  std::string place() const override { return lines_.place(); }
  std::string names() const override {
    std::vector<std::string> names;
    for (const auto& [name, value] : row_.items()) {
      names.push_back(name);
    }
    return joined(names);
  }

 private:
  LineReader lines_;
  std::vector<std::string> columns_;
  Json row_ = Json::object();
};

/// Splits a line at its commas; fields may stand in double quotes, in which "" is one. False if a quote is not closed.
bool split_fields(std::string_view line, std::vector<std::string>& fields) {
  fields.clear();
  fields.emplace_back();
  bool in_quotes = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      if (in_quotes && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += '"';
        ++i;
      } else {
        in_quotes = !in_quotes;
      }
    } else if (c == ',' && !in_quotes) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  for (std::string& field : fields) {
    const std::size_t end = field.find_last_not_of(" \t\r");
    field.erase(end == field.npos ? 0 : end + 1);
    field.erase(0, std::min(field.find_first_not_of(" \t"), field.size()));
  }
  return !in_quotes;
}

class CsvRows : public RecordRows {
 public:
  CsvRows(LineReader lines, std::span<const std::string> columns)
      : lines_(std::move(lines)), columns_(columns.begin(), columns.end()) {}

  Status read_header() {
    std::string_view line;
    while (true) {
      KVPLACE_ASSIGN(more, next_csv_line(lines_, line));
      if (!more) {
        return bad_input(lines_.path() + ": is empty; expected JSON objects, or a header of CSV");
      }
      line = without_byte_order_mark(line);
      if (!line.starts_with('#')) {
        break;
      }
      preamble_.emplace_back(line.substr(1));
    }
    if (!split_fields(line, header_)) {
      return bad_input(place() + ": a double quote is not closed");
    }
    for (const std::string& column : columns_) {
      const auto found = std::find(header_.begin(), header_.end(), column);
      at_.push_back(column.empty() || found == header_.end() ? kNowhere
                                                             : static_cast<std::size_t>(found - header_.begin()));
    }
    return {};
  }

  Result<bool> next(std::span<RecordValue> values) override {
    std::string_view line;
    KVPLACE_ASSIGN(more, next_csv_line(lines_, line));
    if (!more) {
      return false;
    }
    if (!split_fields(line, fields_)) {
      return bad_input(place() + ": a double quote is not closed");
    }
    if (fields_.size() != header_.size()) {
      return bad_input(place() + ": has " + std::to_string(fields_.size()) + " fields, the header names " +
                       std::to_string(header_.size()));
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      values[i].kind = RecordValue::Kind::kMissing;
      if (at_[i] == kNowhere) {
        continue;
      }
      if (Status status = take_field(fields_[at_[i]], values[i]); !status) {
        return bad_input(place() + ": " + columns_[i] + ": " + status.error().message);
      }
    }
    return true;
  }
  std::string place() const override { return lines_.place(); }
  std::string names() const override { return joined(header_); }

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  static Status take_field(const std::string& field, RecordValue& value) {
    if (field.empty()) {
      return {};
    }
    const bool is_number = field.find_first_not_of("0123456789") == field.npos;
    if (is_number || field.front() == '[') {
      const Json json = Json::parse(field, nullptr, false);
      if (!json.is_discarded()) {
        return take_value(json, value);
      }
      if (!is_number) {
        return bad_input("expected a list of ids such as [1, 2, 300], found " + in_quotes(field));
      }
    }
    value.kind = RecordValue::Kind::kText;
    value.text = field;
    return {};
  }

  LineReader lines_;
  std::vector<std::string> columns_;
  std::vector<std::string> header_;
  std::vector<std::size_t> at_;
  std::vector<std::string> fields_;
};

}  // namespace

Result<std::unique_ptr<RecordRows>> RecordRows::open(const std::string& path, std::span<const std::string> columns) {
  bool is_json = false;
  {
    KVPLACE_ASSIGN(head_bytes, ByteSource::open(path));
    LineReader head(std::move(head_bytes));
    std::string_view line;
    KVPLACE_ASSIGN(more, next_csv_line(head, line));
    line = without_byte_order_mark(line);
    is_json = more && line[line.find_first_not_of(" \t")] == '{';
  }
  KVPLACE_ASSIGN(bytes, ByteSource::open(path));
  LineReader lines(std::move(bytes));
  if (is_json) {
    return std::make_unique<JsonRows>(std::move(lines), columns);
  }
  auto rows = std::make_unique<CsvRows>(std::move(lines), columns);
  KVPLACE_TRY(rows->read_header());
  return rows;
}

std::vector<std::string> names_of_first_row(std::string_view head) {
  std::vector<std::string> names;
  std::string_view rest = without_byte_order_mark(head);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == line.npos || line[first] == '#') {
      continue;
    }
    if (line[first] != '{') {
      split_fields(line, names);
      return names;
    }
    const Json row = Json::parse(line, nullptr, false);
    if (row.is_object()) {
      for (const auto& [name, value] : row.items()) {
        names.push_back(name);
      }
    }
    return names;
  }
  return names;
}

}  // namespace kvplace
