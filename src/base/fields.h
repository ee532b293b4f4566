/// Makers of Field<T> for the kinds of value that configuration holds.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "kvplace/base/config.h"
#include "kvplace/base/measure.h"

namespace kvplace {

/// How a value of type V is read from text and written to it.
template <class V>
struct TextForm;

template <class V, Result<V> (*parse_text)(std::string_view), std::string (*format_text)(V), bool text>
struct TextFormOf {
  static Result<V> parse(std::string_view t) { return parse_text(t); }
  static std::string format(V value) { return format_text(value); }
  static bool is_set(V value) { return value != V{}; }
  static constexpr bool kIsText = text;
};

template <>
struct TextForm<Bytes> : TextFormOf<Bytes, parse_bytes, format_bytes, true> {};
template <>
struct TextForm<BytesPerSecond> : TextFormOf<BytesPerSecond, parse_bandwidth, format_bandwidth, true> {
  /// Not 0, which stands for a field that is not set: another figure would silently take its place.
  static Result<BytesPerSecond> parse(std::string_view text) {
    KVPLACE_ASSIGN(rate, parse_bandwidth(text));
    if (!is_set(rate)) {
      return bad_input(in_quotes(text) + " moves nothing: a bandwidth is above 0, like 450GB/s");
    }
    return rate;
  }
};
template <>
struct TextForm<Seconds> : TextFormOf<Seconds, parse_seconds, format_seconds, true> {};
template <>
struct TextForm<FlopsPerSecond> : TextFormOf<FlopsPerSecond, parse_flops_rate, format_flops_rate, true> {};
template <>
struct TextForm<Flops> : TextFormOf<Flops, parse_flops, format_flops, true> {};
template <>
struct TextForm<double> : TextFormOf<double, parse_number, format_number, false> {};

template <>
struct TextForm<std::uint32_t> {
  static Result<std::uint32_t> parse(std::string_view text) {
    KVPLACE_ASSIGN(value, parse_count(text));
    if (value > 0xffffffffu) {
      return bad_input(in_quotes(text) + " is too large: the limit is 2^32 - 1");
    }
    return static_cast<std::uint32_t>(value);
  }
  static std::string format(std::uint32_t value) { return std::to_string(value); }
  static bool is_set(std::uint32_t value) { return value != 0; }
  static constexpr bool kIsText = false;
};

template <>
struct TextForm<std::int64_t> {
  static Result<std::int64_t> parse(std::string_view text) {
    KVPLACE_ASSIGN(value, parse_count(text));
    if (value > (std::uint64_t{1} << 60)) {
      return bad_input(in_quotes(text) + " is absurd: at most 2^60");
    }
    return static_cast<std::int64_t>(value);
  }
  static std::string format(std::int64_t value) { return std::to_string(value); }
  static bool is_set(std::int64_t value) { return value != 0; }
  static constexpr bool kIsText = false;
};

template <>
struct TextForm<std::string> {
  static Result<std::string> parse(std::string_view text) { return std::string(text); }
  static std::string format(const std::string& value) { return value; }
  static bool is_set(const std::string& value) { return !value.empty(); }
  static constexpr bool kIsText = true;
};

/// The value of a field called `key`; a size may lack its unit if the key says that it counts bytes.
template <class Value>
Result<Value> parse_field([[maybe_unused]] const std::string& key, std::string_view text) {
  if constexpr (std::is_same_v<Value, Bytes>) {
    return parse_bytes_of(key, text);
  } else {
    return TextForm<Value>::parse(text);
  }
}

/// A field reached by `access`, a function from T& (and const T&) to a reference to its value.
template <class T, class Access>
Field<T> make_field(std::string key, std::string doc, Access access) {
  using Value = std::decay_t<decltype(access(std::declval<T&>()))>;
  using Form = TextForm<Value>;
  Field<T> field;
  field.key = std::move(key);
  field.doc = std::move(doc);
  field.set = [access, key = field.key](T& target, std::string_view text) -> Status {
    KVPLACE_ASSIGN(value, parse_field<Value>(key, text));
    access(target) = std::move(value);
    return {};
  };
  field.get = [access](const T& source) -> std::string {
    const Value& value = access(source);
    return Form::is_set(value) ? Form::format(value) : std::string();
  };
  field.is_text = Form::kIsText;
  return field;
}

}  // namespace kvplace

/// make_field for a member path: KVPLACE_FIELD(Hardware, near.capacity, "bytes of ...").
#define KVPLACE_FIELD(type, path, doc) make_field<type>(#path, doc, [](auto& object) -> auto& { return object.path; })
