#include "kvplace/sweep/study.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "base/file.h"
#include "kvplace/base/parse.h"
#include "kvplace/policy/registry.h"
#include "sweep/study_keys.h"

namespace kvplace {
namespace {

constexpr std::array kComputes{Compute::kCompare, Compute::kBound, Compute::kSize, Compute::kAdvise};

std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// The part of a dotted key behind its last dot.
std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }
/// And the part before it.
std::string_view first_parts(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

/// One key of [grid] with all that is said of it.
struct GridLine {
  std::string key;
  std::string where;
  std::map<std::size_t, std::map<std::size_t, std::string>> values;  // by place, then by key of the axis
  std::map<std::string, std::string> range;
};

Result<std::vector<std::string>> range_of(const GridLine& line) {
  const auto text = [&](const std::string& word) {
    const auto found = line.range.find(word);
    return found != line.range.end() ? found->second : std::string();
  };
  const std::string step = text("step");
  const std::string count = text("count");
  const std::string scale = text("scale");
  if (text("from").empty() || text("to").empty() || step.empty() == count.empty()) {
    return bad_input("a range is { from, to, step } or { from, to, count }");
  }
  if (!scale.empty() && scale != "linear" && (scale != "log" || count.empty())) {
    return bad_input(in_quotes(scale) + " is no scale of a range: linear, or log with a count");
  }
  if (!step.empty()) {
    return range_values(text("from"), text("to"), step);
  }
  KVPLACE_ASSIGN(number, parse_count(count));
  return spaced_values(text("from"), text("to"), static_cast<std::size_t>(number), scale == "log");
}

class StudyParser {
 public:
  explicit StudyParser(const std::string& name) : name_(name) {}

  Status add(const ConfigEntry& entry) {
    const std::string section = entry.key.substr(0, entry.key.find('.'));
    if (entry.key == "name") {
      study_.name = entry.text;
    } else if (section == "compute" && is_list_of(entry, "compute")) {
      return add_compute(entry);
    } else if (section == "policies" && is_list_of(entry, "policies")) {
      return add_policy(entry);
    } else if (section == "grid" && entry.key != "grid") {
      return add_to_grid(without_prefix(entry, "grid"));
    } else if (section == "points" && entry.key != "points") {
      return add_listed(without_prefix(entry, "points"));
    } else {
      KVPLACE_TRY(check_setting(entry));
      fixed_.push_back(entry);
    }
    return {};
  }

  Result<Study> finish(std::string_view document) {
    if (grid_.empty() && listed_.empty()) {
      return bad_input(name_ +
                       ": nothing varies: give lists or ranges in [grid], or [[points]]; for one point there is "
                       "kvplace compare");
    }
    if (study_.compute.empty()) {
      study_.compute = {Compute::kCompare};
    }
    study_.toml = document;
    if (study_.name.empty()) {
      const std::string_view file = std::string_view(name_).substr(name_.rfind('/') + 1);
      study_.name = file.substr(0, file.rfind('.'));
    }
    std::size_t points = std::max<std::size_t>(listed_.size(), 1);
    for (const GridLine& line : grid_) {
      KVPLACE_TRY(add_axis(line));
      points *= study_.axes.back().values.size();
      if (points > kMostStudyPoints) {
        return bad_input(name_ + ": more than " + std::to_string(kMostStudyPoints) + " points: take fewer values");
      }
    }
    add_points(points);
    KVPLACE_TRY(check_points());
    set_identity();
    return std::move(study_);
  }

 private:
  /// "KEY" or "KEY.N".
  static bool is_list_of(const ConfigEntry& entry, std::string_view key) {
    return entry.key == key || (first_parts(entry.key) == key && number_of(last_part(entry.key)));
  }

  Status add_compute(const ConfigEntry& entry) {
    std::vector<std::string> names;
    for (const Compute compute : kComputes) {
      names.push_back(to_text(compute));
      if (names.back() == entry.text) {
        if (!study_.computes(compute)) {
          study_.compute.push_back(compute);
        }
        return {};
      }
    }
    return bad_input(entry.where + ": compute is compare, bound, size or advise, not " + in_quotes(entry.text) +
                     "; the nearest is " + in_quotes(nearest_name(entry.text, names)));
  }

  Status add_policy(const ConfigEntry& entry) {
    const Result<std::vector<std::string>> texts = expand_policy(entry.text);
    if (!texts) {
      return bad_input(entry.where + ": policies: " + texts.error().message);
    }
    for (const std::string& text : *texts) {
      if (text != "all") {
        if (const auto policy = PolicyRegistry::instance().parse(text); !policy) {
          return bad_input(entry.where + ": " + policy.error().message);
        }
      }
      study_.policies.push_back(text);
    }
    return {};
  }

  Status add_to_grid(const ConfigEntry& entry) {
    std::string_view key = entry.key;
    std::vector<std::size_t> places;
    for (auto number = number_of(last_part(key)); number && places.size() < 2; number = number_of(last_part(key))) {
      places.insert(places.begin(), *number);
      key = first_parts(key);
    }
    const std::string word(last_part(key));
    const bool of_range =
        places.empty() && (word == "from" || word == "to" || word == "step" || word == "count" || word == "scale");
    GridLine& line = line_of(std::string(of_range ? first_parts(key) : key), entry.where);
    if (of_range) {
      line.range[word] = entry.text;
    } else {
      line.values[places.empty() ? 0 : places[0]][places.size() < 2 ? 0 : places[1]] = entry.text;
    }
    return {};
  }

  GridLine& line_of(const std::string& key, const std::string& where) {
    const auto found = std::find_if(grid_.begin(), grid_.end(), [&](const GridLine& line) { return line.key == key; });
    if (found != grid_.end()) {
      return *found;
    }
    grid_.push_back({key, where, {}, {}});
    return grid_.back();
  }

  Status add_listed(const ConfigEntry& entry) {
    const std::size_t dot = entry.key.find('.');
    const std::optional<std::size_t> place = number_of(entry.key.substr(0, dot));
    if (!place || dot == std::string::npos) {
      return bad_input(entry.where + ": points are tables: begin each with [[points]]");
    }
    const ConfigEntry setting{entry.key.substr(dot + 1), entry.text, entry.where};
    KVPLACE_TRY(check_setting(setting));
    listed_.resize(std::max(listed_.size(), *place + 1));
    listed_[*place].push_back(setting);
    return {};
  }

  Status add_axis(const GridLine& line) {
    StudyAxis axis;
    for (std::string_view rest = line.key;;) {
      std::string_view key = rest.substr(0, rest.find(','));
      const bool last = key.size() == rest.size();
      rest = last ? std::string_view() : rest.substr(key.size() + 1);
      while (key.starts_with(' ')) {
        key.remove_prefix(1);
      }
      while (key.ends_with(' ')) {
        key.remove_suffix(1);
      }
      for (const StudyAxis& other : study_.axes) {
        if (std::find(other.keys.begin(), other.keys.end(), key) != other.keys.end()) {
          return bad_input(line.where + ": " + in_quotes(key) + " varies twice in [grid]");
        }
      }
      axis.keys.emplace_back(key);
      if (last) {
        break;
      }
    }
    KVPLACE_TRY(add_values(line, axis));
    for (const std::vector<std::string>& values : axis.values) {
      for (std::size_t i = 0; i < axis.keys.size(); ++i) {
        KVPLACE_TRY(check_setting({axis.keys[i], values[i], line.where}));
      }
    }
    where_.push_back(line.where);
    study_.axes.push_back(std::move(axis));
    return {};
  }

  static Status add_values(const GridLine& line, StudyAxis& axis) {
    if (!line.range.empty()) {
      const Result<std::vector<std::string>> values = range_of(line);
      if (!values) {
        return bad_input(line.where + ": " + line.key + ": " + values.error().message);
      }
      for (const std::string& value : *values) {
        axis.values.emplace_back(axis.keys.size(), value);
      }
      return {};
    }
    for (const auto& [place, texts] : line.values) {
      if (texts.size() != 1 && texts.size() != axis.keys.size()) {
        return bad_input(line.where + ": " + line.key + ": a value for all of its keys, or a list of one for each");
      }
      std::vector<std::string> values;
      for (std::size_t i = 0; i < axis.keys.size(); ++i) {
        values.push_back(texts.size() == 1 ? texts.begin()->second : texts.at(i));
      }
      axis.values.push_back(std::move(values));
    }
    return {};
  }

  void add_points(std::size_t count) {
    const std::size_t combinations = count / std::max<std::size_t>(listed_.size(), 1);
    study_.points.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      StudyPoint point;
      point.settings = fixed_;
      if (!listed_.empty()) {
        for (const ConfigEntry& entry : listed_[i / combinations]) {
          point.settings.push_back(entry);
          point.varied.emplace_back(entry.key, entry.text);
        }
      }
      std::size_t rest = i % combinations;
      std::size_t stride = combinations;
      for (std::size_t a = 0; a < study_.axes.size(); ++a) {
        const StudyAxis& axis = study_.axes[a];
        stride /= axis.values.size();
        const std::vector<std::string>& values = axis.values[rest / stride];
        rest %= stride;
        for (std::size_t k = 0; k < axis.keys.size(); ++k) {
          point.settings.push_back({axis.keys[k], values[k], where_[a]});
          std::erase_if(point.varied, [&](const auto& varied) { return varied.first == axis.keys[k]; });
          point.varied.emplace_back(axis.keys[k], values[k]);
        }
      }
      // A preset replaces the fields set before it, so presets come first.
      std::stable_partition(point.settings.begin(), point.settings.end(), [](const ConfigEntry& entry) {
        return entry.key == "hardware" || entry.key == "model" || entry.key == "engine";
      });
      study_.points.push_back(std::move(point));
    }
  }

  [[nodiscard]] Status check_points() const {
    const bool reads =
        study_.computes(Compute::kCompare) || study_.computes(Compute::kBound) || study_.computes(Compute::kSize);
    for (const StudyPoint& point : study_.points) {
      const bool trace = said(point, "trace").has_value();
      const bool workload = said(point, "workload").has_value();
      if (trace && workload) {
        return bad_input(name_ + ": a point has a trace and a workload, which are two traces: give one of them");
      }
      if (reads && !trace && !workload) {
        return bad_input(name_ +
                         ": no trace is named: give trace = \"FILE.kvt\", or workload = \"dense\" with a model");
      }
      if (!reads && !trace && !said(point, "context")) {
        return bad_input(name_ + ": advise needs a context, like context = \"64K\", or a trace");
      }
      if (study_.computes(Compute::kSize) && !said(point, "size.target")) {
        return bad_input(name_ + ": size needs a target, like [size] target = \"90%\"");
      }
    }
    return {};
  }

  void set_identity() {
    std::string all;
    const auto add = [&all](std::string_view text) {
      all += text;
      all += '\n';
    };
    for (const Compute compute : study_.compute) {
      add(to_text(compute));
    }
    for (const std::string& policy : study_.policies) {
      add(policy);
    }
    XXH3_state_t* const state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, all.data(), all.size());
    for (const StudyPoint& point : study_.points) {
      all = "\n";
      for (const ConfigEntry& entry : point.settings) {
        add(entry.key + " = " + entry.text);
      }
      XXH3_128bits_update(state, all.data(), all.size());
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (const unsigned char byte : canonical.digest) {
      study_.identity += kDigits[byte >> 4];
      study_.identity += kDigits[byte & 15];
    }
  }

  const std::string& name_;
  Study study_;
  std::vector<ConfigEntry> fixed_;
  std::vector<std::vector<ConfigEntry>> listed_;
  std::vector<GridLine> grid_;
  std::vector<std::string> where_;  // of each axis
};

}  // namespace

std::string to_text(Compute compute) {
  switch (compute) {
    case Compute::kCompare:
      return "compare";
    case Compute::kBound:
      return "bound";
    case Compute::kSize:
      return "size";
    case Compute::kAdvise:
      return "advise";
  }
  return {};
}

bool Study::computes(Compute what) const { return std::find(compute.begin(), compute.end(), what) != compute.end(); }

std::vector<std::string> Study::varied_keys() const {
  std::vector<std::string> keys;
  for (const StudyPoint& point : points) {
    for (const auto& [key, text] : point.varied) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        keys.push_back(key);
      }
    }
  }
  return keys;
}

Result<Study> parse_study(std::string_view document, const std::string& name) {
  KVPLACE_ASSIGN(entries, parse_toml(document, name));
  StudyParser parser(name);
  for (const ConfigEntry& entry : entries) {
    KVPLACE_TRY(parser.add(entry));
  }
  return parser.finish(document);
}

Result<Study> read_study(const std::string& path) {
  KVPLACE_ASSIGN(document, read_small_file(path));
  return parse_study(document, path);
}

std::optional<std::string> said(const StudyPoint& point, std::string_view key) {
  const auto found = std::find_if(point.settings.rbegin(), point.settings.rend(),
                                  [key](const ConfigEntry& entry) { return entry.key == key; });
  return found == point.settings.rend() ? std::nullopt : std::optional(found->text);
}

std::vector<ConfigEntry> instance_settings(const StudyPoint& point) {
  std::vector<ConfigEntry> entries = point.settings;
  std::erase_if(entries, [](const ConfigEntry& entry) { return is_study_key(entry.key); });
  return entries;
}

}  // namespace kvplace
