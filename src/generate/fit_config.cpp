#include "generate/fit_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/fields.h"
#include "generate/depth_classes.h"
#include "generate/process_fit.h"
#include "kvplace/base/measure.h"

namespace kvplace::generate {
namespace {

constexpr std::size_t kMostLayers = 65536;

/// Numbers in one text, some to a line; each reads back as the same number.
template <class Number>
std::string format_list(const std::vector<Number>& numbers) {
  constexpr std::size_t kPerLine = 12;
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::array<char, 64> buffer{};
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), numbers[i]);
    text.append(buffer.data(), end);
    text += (i + 1) % kPerLine == 0 || i + 1 == numbers.size() ? '\n' : ' ';
  }
  return text;
}

template <class Number>
Result<std::vector<Number>> parse_list(std::string_view text) {
  std::vector<Number> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    Number number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || !std::isfinite(number) || number < 0 ||
        (next != end && *next != ' ' && *next != '\n')) {
      return bad_input("number " + std::to_string(numbers.size() + 1) + " of the list is not a number from 0 on");
    }
    numbers.push_back(number);
    at = next == end ? end : next + 1;
  }
  return numbers;
}

template <class Number>
Field<FittedProcess> list_field(std::string key, std::string doc, std::vector<Number> FittedProcess::* member) {
  Field<FittedProcess> field;
  field.key = std::move(key);
  field.doc = std::move(doc);
  field.set = [member](FittedProcess& process, std::string_view text) -> Status {
    KVPLACE_ASSIGN(numbers, parse_list<Number>(text));
    process.*member = std::move(numbers);
    return {};
  };
  field.get = [member](const FittedProcess& process) { return format_list(process.*member); };
  return field;
}

std::span<const Field<FittedProcess>> process_fields() {
  static const std::vector<Field<FittedProcess>> kFields{
      KVPLACE_FIELD(FittedProcess, budget_blocks, "blocks read per step"),
      KVPLACE_FIELD(FittedProcess, budget_share, "or the share of the blocks there are"),
      KVPLACE_FIELD(FittedProcess, sink_tokens, "the first so many tokens are always read"),
      KVPLACE_FIELD(FittedProcess, window_tokens, "the newest so many tokens are always read"),
      KVPLACE_FIELD(FittedProcess, choices, "candidates compared when a block comes in or leaves"),
      list_field("changed", "share of the reads that were not read in the step before", &FittedProcess::changed),
      list_field("leave", "weights to leave", &FittedProcess::leave),
      list_field("enter", "weights to come in", &FittedProcess::enter),
      list_field("by_age", "factors of these by age", &FittedProcess::by_age),
      list_field("cold", "weights of blocks never read", &FittedProcess::cold),
  };
  return kFields;
}

std::span<const Field<Fit>> fit_fields() {
  static const std::vector<Field<Fit>> kFields = [] {
    std::vector<Field<Fit>> fields{
        KVPLACE_FIELD(Fit, original, "file name of the trace"),
        KVPLACE_FIELD(Fit, selection, "how its reads were chosen"),
        KVPLACE_FIELD(Fit, prompt_tokens, "its tokens before the first decode step"),
    };
    Field<Fit> block_bytes;
    block_bytes.key = "block_bytes";
    block_bytes.doc = "size of a KV page";
    block_bytes.set = [key = block_bytes.key](Fit& fit, std::string_view text) -> Status {
      KVPLACE_ASSIGN(size, parse_bytes_of(key, text));
      fit.block_bytes = size;
      return {};
    };
    block_bytes.get = [](const Fit& fit) { return fit.block_bytes ? format_bytes(*fit.block_bytes) : std::string(); };
    fields.push_back(std::move(block_bytes));
    return fields;
  }();
  return kFields;
}

template <class T>
std::string to_toml_lines(std::span<const Field<T>> fields, const T& object) {
  std::string out;
  for (const Field<T>& field : fields) {
    if (const std::string text = field.get(object); !text.empty()) {
      const bool is_list = text.back() == '\n';
      const std::string value = is_list ? "\"\"\"\n" + text + "\"\"\"" : field.is_text ? toml_string(text) : text;
      out += field.key + " = " + value + "\n";
    }
  }
  return out;
}

Status validate_process(const FittedProcess& process, const std::string& where) {
  const Classes classes = frequency_classes();
  const auto expect = [&](const char* key, std::size_t size, std::size_t expected) -> Status {
    if (size != expected) {
      return bad_input(where + "." + key + " has " + std::to_string(size) + " numbers, not " +
                       std::to_string(expected) + "; generate --like X.kvt --save-config writes such a file anew");
    }
    return {};
  };
  KVPLACE_TRY(expect("leave", process.leave.size(), classes.count * kNumAges));
  KVPLACE_TRY(expect("enter", process.enter.size(), classes.count * kNumDepths));
  KVPLACE_TRY(expect("by_age", process.by_age.size(), kNumAges));
  KVPLACE_TRY(expect("cold", process.cold.size(), kNumAges));
  if (process.changed.empty() || *std::max_element(process.changed.begin(), process.changed.end()) > 1) {
    return bad_input(where + ".changed must be shares of 0 to 1, at least one");
  }
  if ((process.budget_blocks > 0) == (process.budget_share > 0) || process.budget_share > 1) {
    return bad_input(where + ": give budget_blocks, or budget_share of 0 to 1");
  }
  if (!(process.choices >= 1 && process.choices <= 64)) {
    return bad_input(where + ".choices must be 1 to 64");
  }
  return {};
}

}  // namespace

Status apply_fit_entry(const ConfigEntry& entry, Fit& fit) {
  const ConfigEntry inner = without_prefix(entry, "fit");
  for (auto [list, member] : {std::pair{"pages", &Fit::pages}, std::pair{"experts", &Fit::experts}}) {
    if (!inner.key.starts_with(std::string(list) + ".")) {
      continue;
    }
    const ConfigEntry of_layer = without_prefix(inner, list);
    const std::size_t dot = of_layer.key.find('.');
    const Result<std::uint64_t> index = parse_count(std::string_view(of_layer.key).substr(0, dot));
    std::vector<FittedProcess>& layers = fit.*member;
    if (!index || *index > layers.size() || *index >= kMostLayers || dot == std::string::npos) {
      break;
    }
    layers.resize(std::max<std::size_t>(layers.size(), *index + 1));
    return apply_entry<FittedProcess>(process_fields(), without_prefix(of_layer, of_layer.key.substr(0, dot)),
                                      layers[*index]);
  }
  return apply_entry<Fit>(fit_fields(), inner, fit);
}

std::string fit_to_toml(const Fit& fit) {
  if (fit.empty()) {
    return {};
  }
  std::string out = "\n[fit]\n" + to_toml_lines(fit_fields(), fit);
  for (const FittedProcess& process : fit.pages) {
    out += "\n[[fit.pages]]\n" + to_toml_lines(process_fields(), process);
  }
  for (const FittedProcess& process : fit.experts) {
    out += "\n[[fit.experts]]\n" + to_toml_lines(process_fields(), process);
  }
  return out;
}

Status validate_fit(const Fit& fit, const std::string& where) {
  if (!fit.pages.empty() && !fit.experts.empty() && fit.pages.size() != fit.experts.size()) {
    return bad_input(where + ": fit.pages has " + std::to_string(fit.pages.size()) + " layers, fit.experts " +
                     std::to_string(fit.experts.size()));
  }
  for (std::size_t i = 0; i < fit.pages.size(); ++i) {
    KVPLACE_TRY(validate_process(fit.pages[i], where + ": fit.pages." + std::to_string(i)));
  }
  for (std::size_t i = 0; i < fit.experts.size(); ++i) {
    KVPLACE_TRY(validate_process(fit.experts[i], where + ": fit.experts." + std::to_string(i)));
  }
  return {};
}

FittedProcess to_fitted(const ProcessModel& model) {
  FittedProcess fitted;
  fitted.budget_blocks = model.budget.count;
  fitted.budget_share = model.budget.share;
  fitted.sink_tokens = model.pinned.sink_tokens;
  fitted.window_tokens = model.pinned.window_tokens;
  fitted.choices = model.classes.choices;
  fitted.changed = model.churn.series;
  fitted.leave = model.weights.leave;
  fitted.enter = model.weights.enter;
  fitted.by_age = model.weights.by_age;
  fitted.cold = model.weights.cold;
  return fitted;
}

ProcessModel to_model(const FittedProcess& fitted) {
  ProcessModel model;
  model.budget = {fitted.budget_blocks, fitted.budget_share};
  model.pinned.sink_tokens = fitted.sink_tokens;
  model.pinned.window_tokens = fitted.window_tokens;
  model.classes = frequency_classes();
  model.classes.choices = fitted.choices;
  model.churn.series = fitted.changed;
  model.weights.by_depth = true;
  model.weights.leave = fitted.leave;
  model.weights.enter = fitted.enter;
  model.weights.by_age = fitted.by_age;
  model.weights.cold = fitted.cold;
  return model;
}

}  // namespace kvplace::generate
