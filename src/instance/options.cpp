#include "kvplace/instance/options.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/fields.h"
#include "kvplace/base/measure.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/instance/settings.h"

namespace kvplace {
namespace {

template <class Enum>
struct Choice {
  Enum value;
  std::string_view name;
};

constexpr std::array kModes{Choice<Mode>{Mode::kInclusive, "inclusive"}, Choice<Mode>{Mode::kExclusive, "exclusive"}};
constexpr std::array kBarriers{Choice<Barrier>{Barrier::kLayer, "layer"}, Choice<Barrier>{Barrier::kToken, "token"}};
constexpr std::array kOverlaps{Choice<Overlap>{Overlap::kFull, "full"}, Choice<Overlap>{Overlap::kNone, "none"}};
constexpr std::array kStarts{Choice<Start>{Start::kRecent, "recent"}, Choice<Start>{Start::kEmpty, "empty"},
                             Choice<Start>{Start::kFree, "free"}};
constexpr std::array kMirroredReads{Choice<MirroredReads>{MirroredReads::kNear, "near"},
                                    Choice<MirroredReads>{MirroredReads::kSplit, "split"}};
constexpr std::array kCopies{Choice<Copies>{Copies::kStep, "step"}, Choice<Copies>{Copies::kBackground, "background"}};
constexpr std::array kBoundCosts{Choice<BoundCosts>{BoundCosts::kPeak, "peak"},
                                 Choice<BoundCosts>{BoundCosts::kEngine, "engine"}};
constexpr std::array kYesOrNo{Choice<bool>{true, "true"}, Choice<bool>{false, "false"}};

/// How values are named, read and printed.
template <class V>
struct Kind {
  std::string value;  // as in Setting
  std::string range;
  std::function<Result<V>(std::string_view)> parse;
  std::function<std::string(const V&)> format;
  bool is_text = false;  // as in Field
};

template <class Enum, std::size_t n>
std::string name_of(const std::array<Choice<Enum>, n>& choices, Enum value) {
  for (const Choice<Enum>& choice : choices) {
    if (choice.value == value) {
      return std::string(choice.name);
    }
  }
  return {};
}

template <class Enum, std::size_t n>
std::string names_of(const std::array<Choice<Enum>, n>& choices, const std::string& between) {
  std::string names;
  for (const Choice<Enum>& choice : choices) {
    names += (names.empty() ? "" : between) + std::string(choice.name);
  }
  return names;
}

template <class Enum, std::size_t n>
Kind<Enum> one_of(const std::array<Choice<Enum>, n>& choices) {
  const auto parse = [&choices](std::string_view text) -> Result<Enum> {
    for (const Choice<Enum>& choice : choices) {
      if (choice.name == text) {
        return choice.value;
      }
    }
    return bad_input(in_quotes(text) + " is not " + names_of(choices, " or "));
  };
  return {names_of(choices, "|"), names_of(choices, ", "), parse,
          [&choices](const Enum& value) { return name_of(choices, value); }, true};
}

/// A size; it may lack its unit if the key says that it counts bytes.
Kind<Bytes> size_kind(const std::string& key) {
  return {"SIZE", "size", [key](std::string_view text) { return parse_bytes_of(key, text); }, format_bytes, true};
}

Kind<double> share_kind() {
  const auto parse = [](std::string_view text) -> Result<double> {
    KVPLACE_ASSIGN(share, parse_number(text));
    if (!(share >= 0 && share <= 1)) {
      return bad_input(in_quotes(text) + " is not between 0 and 1");
    }
    return share;
  };
  return {"SHARE", "0 to 1", parse, format_number};
}

Kind<std::uint32_t> count_kind() {
  return {"N", "count", TextForm<std::uint32_t>::parse, TextForm<std::uint32_t>::format};
}

Kind<std::uint64_t> seed_kind() {
  return {"N", "count", parse_count, [](std::uint64_t value) { return std::to_string(value); }};
}

Kind<std::uint32_t> batch_kind() {
  const auto parse = [](std::string_view text) -> Result<std::uint32_t> {
    KVPLACE_ASSIGN(batch_size, parse_count(text));
    if (batch_size < 1 || batch_size > (1u << 20)) {
      return bad_input(in_quotes(text) + " is not 1 to 2^20 requests");
    }
    return static_cast<std::uint32_t>(batch_size);
  };
  return {"N", "1 to 2^20", parse, TextForm<std::uint32_t>::format};
}

Kind<std::uint32_t> gpus_kind() {
  const auto parse = [](std::string_view text) -> Result<std::uint32_t> {
    KVPLACE_ASSIGN(number, parse_count(text));
    if (number < 1 || number > 4096) {
      return bad_input(in_quotes(text) + " is not 1 to 4096 GPUs");
    }
    return static_cast<std::uint32_t>(number);
  };
  return {"N", "1 to 4096", parse, TextForm<std::uint32_t>::format};
}

Kind<bool> bool_kind() {
  Kind<bool> kind = one_of(kYesOrNo);
  kind.parse = parse_bool;
  kind.is_text = false;
  return kind;
}

/// A flag without a value says yes.
Kind<bool> flag_kind() {
  Kind<bool> kind = bool_kind();
  kind.value.clear();
  return kind;
}

Kind<std::vector<double>> shares_kind() {
  return {"LIST", "a number per layer", parse_layer_shares,
          [](const std::vector<double>& shares) { return format_layer_shares(shares); }};
}

/// How a field may be given, beside by its key.
enum class Reach : std::uint8_t { kByFlagAndKeyword, kByKeyword, kByKey };

struct Words {
  std::string doc;
  std::string by_default = {};  ///< empty: that of InstanceOptions
  Reach reach = Reach::kByFlagAndKeyword;
};

struct OptionRow {
  Field<InstanceOptions> field;
  Setting setting;
};

std::string flag_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

template <class V>
const V* given(const V& value) {
  return &value;
}
template <class V>
const V* given(const std::optional<V>& value) {
  return value ? &*value : nullptr;
}

template <class V, class Member>
OptionRow option_row(const std::string& key, Member InstanceOptions::* member, const Kind<V>& kind,
                     const Words& words) {
  Field<InstanceOptions> field;
  field.key = key;
  field.doc = words.doc;
  field.set = [member, parse = kind.parse](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(value, parse(text));
    options.*member = std::move(value);
    return {};
  };
  field.get = [member, format = kind.format](const InstanceOptions& options) {
    const V* value = given(options.*member);
    return value != nullptr ? format(*value) : std::string();
  };
  field.is_text = kind.is_text;
  const std::string by_default = words.by_default.empty() ? field.get(InstanceOptions()) : words.by_default;
  Setting setting{"options." + key,
                  words.reach == Reach::kByFlagAndKeyword ? flag_of(key) : std::string(),
                  words.reach != Reach::kByKey ? key : std::string(),
                  kind.value,
                  kind.range,
                  by_default,
                  words.doc};
  return {std::move(field), std::move(setting)};
}

std::vector<OptionRow> make_option_rows() {
  using O = InstanceOptions;
  return {
      option_row(
          "near_capacity", &O::near_capacity, size_kind("near_capacity"),
          {"near bytes left for the KV (and experts) of all requests, like `16GiB` or `5.38 GiB`; a bare number is an "
           "error",
           "near memory less the model's weights"}),
      option_row("near_blocks_per_layer", &O::near_blocks_per_layer, count_kind(),
                 {"near capacity as blocks per layer of the trace's request; at most all"}),
      option_row("near_fraction", &O::near_fraction, share_kind(),
                 {"near capacity as a share of all blocks at the trace's end, 0 to 1"}),
      option_row(
          "layer_shares", &O::layer_shares, shares_kind(),
          {"how policies with a buffer per layer divide the near capacity: a number per layer, relative to their sum",
           "equally", Reach::kByKeyword}),
      option_row("mode", &O::mode, one_of(kModes),
                 {"`inclusive` (far has a copy of every block) or `exclusive` (there is one copy)"}),
      option_row("barrier", &O::barrier, one_of(kBarriers),
                 {"where the two sides wait for each other: `layer` or `token`"}),
      option_row(
          "overlap", &O::overlap, one_of(kOverlaps),
          {"far reads beside near reads: `full` (the slower side counts), or before them: `none` (both add up)"}),
      option_row("start", &O::start, one_of(kStarts),
                 {"near at the first decode step: `recent`, `empty` or `free` (oracle policies only)"}),
      option_row(
          "mirrored_reads", &O::mirrored_reads, one_of(kMirroredReads),
          {"who serves a block that both sides hold (inclusive mode): `near`, or both (`split`)", {}, Reach::kByKey}),
      option_row(
          "copies", &O::copies, one_of(kCopies),
          {"a promotion's bytes move in the step that decides it: `step`, or in the link's idle time of that and "
           "later steps: `background`"}),
      option_row("bound_costs", &O::bound_costs, one_of(kBoundCosts),
                 {"what bounds count: the machine at its `peak`, or also efficiencies and overheads of the `engine`",
                  {},
                  Reach::kByKey}),
      option_row("batch", &O::batch, batch_kind(),
                 {"the trace stands for one of so many like requests, decoded together"}),
      option_row("block_bytes", &O::block_bytes, size_kind("block_bytes"),
                 {"bytes of a KV page: `12288` or `12KiB`", "model, else trace"}),
      option_row("weight_bytes_per_step", &O::weight_bytes_per_step, size_kind("weight_bytes_per_step"),
                 {"weights read in each layer of a decode step, bytes", "model, else 0"}),
      option_row("gpus", &O::gpus, gpus_kind(), {"GPUs of the deployment, of which the instance is one GPU's share"}),
      option_row("attention_tp", &O::attention_tp, gpus_kind(),
                 {"GPUs that share the heads of a request (tensor parallelism)", "`--gpus` / `--attention-dp`"}),
      option_row("attention_dp", &O::attention_dp, gpus_kind(),
                 {"groups of GPUs that share the requests (data parallelism of attention)",
                  "`--gpus` / `--attention-tp`, else 1"}),
      option_row("expert_parallel", &O::expert_parallel, flag_kind(),
                 {"whole routed experts on each GPU; else a part of each of them"}),
      option_row("reserve", &O::reserve, share_kind(),
                 {"share of near memory that is kept for activations and the like",
                  "0.1 of a deployment (docs/deployments.md), else 0", Reach::kByKey}),
      option_row(
          "experts_read", &O::experts_read, share_kind(),
          {"share of a layer's routed experts that a step reads, as measured", "as of uniform routing", Reach::kByKey}),
      option_row("experts_near", &O::experts_near, share_kind(),
                 {"share of the routed experts' weights that is near; all other weights are", "1", Reach::kByKey}),
      option_row("weights_near", &O::weights_near, share_kind(),
                 {"share of the weights that is near", {}, Reach::kByKey}),
      option_row("new_kv", &O::new_kv, bool_kind(), {"whether writing new KV costs anything", {}, Reach::kByKey}),
      option_row("seed", &O::seed, seed_kind(), {"of policies that draw random numbers"}),
  };
}

const std::vector<OptionRow>& option_rows() {
  static const std::vector<OptionRow> kRows = make_option_rows();
  return kRows;
}

std::vector<Setting> make_settings() {
  std::vector<Setting> all{{"", "--config", "config", "FILE", "file", "",
                            "TOML file, as `kvplace show-config` prints it; all that is given beside it overrides it"},
                           {"hardware", "--hardware", "hardware", "HARDWARE|FILE", "name or file",
                            "`" + std::string(kDefaultHardware) + "`, the paper's machine", "preset or FILE.toml"},
                           {"model", "--model", "model", "MODEL|FILE", "name or file", "what the trace names",
                            "preset, FILE.toml, or a Hugging Face config.json (or a folder that holds one)"},
                           {kKvDtypeKey, "--kv-dtype", "kv_dtype", "bf16|fp8|fp8-flashmla|int8|nvfp4|fp16|fp32",
                            "bf16, fp8, fp8-flashmla, int8, nvfp4, fp16, fp32", "the model's",
                            "dtype of the KV cache, which its size follows"}};
  all.insert(all.begin() + 3,
             {"engine", "--engine", "engine", "ENGINE|FILE", "name or file", "an ideal one",
              "preset or FILE.toml: overlap, overheads and efficiencies of an engine (docs/engines.md)"});
  for (const OptionRow& row : option_rows()) {
    all.push_back(row.setting);
  }
  all.push_back({"", "--layer-budgets", "layer_budgets", "FILE", "file", "equally",
                 "FILE.json or FILE.toml of `kvplace budgets`: how policies with a buffer per layer divide the near "
                 "capacity"});
  all.push_back({"", "--set", "", "KEY=VALUE", "any", "",
                 "any field: `hardware.*`, `model.*`, `engine.*` or `options.*`; repeatable"});
  return all;
}

}  // namespace

std::span<const Field<InstanceOptions>> option_fields() {
  static const std::vector<Field<InstanceOptions>> kFields = [] {
    std::vector<Field<InstanceOptions>> fields;
    for (const OptionRow& row : option_rows()) {
      fields.push_back(row.field);
    }
    return fields;
  }();
  return kFields;
}

std::span<const Setting> settings() {
  static const std::vector<Setting> kSettings = make_settings();
  return kSettings;
}

std::string to_text(Mode mode) { return name_of(kModes, mode); }
std::string to_text(Start start) { return name_of(kStarts, start); }
std::string to_text(Copies copies) { return name_of(kCopies, copies); }

}  // namespace kvplace
