#include "kvplace/instance/options.h"

#include <array>

#include "base/fields.h"
#include "kvplace/base/measure.h"
#include "kvplace/instance/layer_budgets.h"

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
Field<InstanceOptions> choice_field(std::string key, std::string doc, Enum InstanceOptions::* member,
                                    const std::array<Choice<Enum>, n>& choices) {
  Field<InstanceOptions> field;
  field.key = std::move(key);
  field.doc = std::move(doc);
  field.set = [member, &choices](InstanceOptions& options, std::string_view text) -> Status {
    std::string names;
    for (const Choice<Enum>& choice : choices) {
      if (choice.name == text) {
        options.*member = choice.value;
        return {};
      }
      names += (names.empty() ? "" : " or ") + std::string(choice.name);
    }
    return bad_input(in_quotes(text) + " is not " + names);
  };
  field.get = [member, &choices](const InstanceOptions& options) { return name_of(choices, options.*member); };
  return field;
}

/// A field that may be left unset; `parse` checks range, `format` prints.
template <class V, class Parse, class Format>
Field<InstanceOptions> optional_field(std::string key, std::string doc, std::optional<V> InstanceOptions::* member,
                                      Parse parse, Format format, bool is_text) {
  Field<InstanceOptions> field;
  field.key = std::move(key);
  field.doc = std::move(doc);
  field.set = [member, parse](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(value, parse(text));
    options.*member = value;
    return {};
  };
  field.get = [member, format](const InstanceOptions& options) {
    return options.*member ? format(*(options.*member)) : std::string();
  };
  field.is_text = is_text;
  return field;
}

Result<double> parse_share(std::string_view text) {
  KVPLACE_ASSIGN(share, parse_number(text));
  if (!(share >= 0 && share <= 1)) {
    return bad_input(in_quotes(text) + " is not between 0 and 1");
  }
  return share;
}

Field<InstanceOptions> sized_field(std::string key, std::string doc, std::optional<Bytes> InstanceOptions::* member) {
  const auto parse = [key](std::string_view text) { return parse_bytes_of(key, text); };
  return optional_field<Bytes>(std::move(key), std::move(doc), member, parse, format_bytes, true);
}

std::vector<Field<InstanceOptions>> make_fields() {
  std::vector<Field<InstanceOptions>> fields;
  fields.push_back(sized_field("near_capacity",
                               "near bytes left for the KV of all requests; default: the hardware's "
                               "near capacity less the model's weights",
                               &InstanceOptions::near_capacity));
  fields.push_back(optional_field<std::uint32_t>(
      "near_blocks_per_layer", "near capacity as blocks per layer of the trace's request",
      &InstanceOptions::near_blocks_per_layer, TextForm<std::uint32_t>::parse, TextForm<std::uint32_t>::format, false));
  fields.push_back(optional_field<double>("near_fraction", "near capacity as a share of all blocks at the trace's end",
                                          &InstanceOptions::near_fraction, parse_share, format_number, false));
  Field<InstanceOptions> layer_shares;
  layer_shares.key = "layer_shares";
  layer_shares.doc =
      "how policies with a buffer per layer divide the near capacity: a number per layer; default: equally";
  layer_shares.set = [](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(shares, parse_layer_shares(text));
    options.layer_shares = std::move(shares);
    return {};
  };
  layer_shares.get = [](const InstanceOptions& options) { return format_layer_shares(options.layer_shares); };
  layer_shares.is_text = false;
  fields.push_back(std::move(layer_shares));
  fields.push_back(choice_field("mode", "inclusive: far holds a copy of every block; exclusive: one copy",
                                &InstanceOptions::mode, kModes));
  fields.push_back(choice_field("barrier", "where the two sides wait for each other: layer or token",
                                &InstanceOptions::barrier, kBarriers));
  fields.push_back(choice_field("overlap", "far reads beside near reads (full) or before them (none)",
                                &InstanceOptions::overlap, kOverlaps));
  fields.push_back(choice_field("start", "near at the first decode step: recent, empty or free (oracle policies only)",
                                &InstanceOptions::start, kStarts));
  fields.push_back(choice_field("mirrored_reads", "who serves a block both sides hold: near, or both (split)",
                                &InstanceOptions::mirrored_reads, kMirroredReads));
  Field<InstanceOptions> batch = KVPLACE_FIELD(InstanceOptions, batch, "like requests decoded together, 1 to 2^20");
  batch.set = [](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(batch_size, parse_count(text));
    if (batch_size < 1 || batch_size > (1u << 20)) {
      return bad_input(in_quotes(text) + " is not 1 to 2^20 requests");
    }
    options.batch = static_cast<std::uint32_t>(batch_size);
    return {};
  };
  fields.push_back(std::move(batch));
  fields.push_back(
      sized_field("block_bytes", "bytes of a KV page; default: model or trace", &InstanceOptions::block_bytes));
  fields.push_back(sized_field("weight_bytes_per_step", "weights read in each layer of a decode step; default: model",
                               &InstanceOptions::weight_bytes_per_step));
  Field<InstanceOptions> weights_near =
      KVPLACE_FIELD(InstanceOptions, weights_near, "share of the weights that is near");
  weights_near.set = [](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(share, parse_share(text));
    options.weights_near = share;
    return {};
  };
  weights_near.get = [](const InstanceOptions& options) { return format_number(options.weights_near); };
  fields.push_back(std::move(weights_near));
  Field<InstanceOptions> new_kv;
  new_kv.key = "new_kv";
  new_kv.doc = "whether writing new KV costs anything";
  new_kv.set = [](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(value, parse_bool(text));
    options.new_kv = value;
    return {};
  };
  new_kv.get = [](const InstanceOptions& options) { return std::string(options.new_kv ? "true" : "false"); };
  new_kv.is_text = false;
  fields.push_back(std::move(new_kv));
  Field<InstanceOptions> seed;
  seed.key = "seed";
  seed.doc = "of policies that draw random numbers";
  seed.set = [](InstanceOptions& options, std::string_view text) -> Status {
    KVPLACE_ASSIGN(value, parse_count(text));
    options.seed = value;
    return {};
  };
  seed.get = [](const InstanceOptions& options) { return std::to_string(options.seed); };
  seed.is_text = false;
  fields.push_back(std::move(seed));
  return fields;
}

}  // namespace

std::span<const Field<InstanceOptions>> option_fields() {
  static const std::vector<Field<InstanceOptions>> kFields = make_fields();
  return kFields;
}

std::string to_text(Mode mode) { return name_of(kModes, mode); }
std::string to_text(Start start) { return name_of(kStarts, start); }

}  // namespace kvplace
