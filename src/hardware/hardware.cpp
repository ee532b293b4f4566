#include "kvplace/hardware/hardware.h"

#include <algorithm>

#include "base/fields.h"
#include "base/presets.h"

namespace kvplace {

template <>
struct TextForm<Figures> {
  static Result<Figures> parse(std::string_view text) {
    if (text == "spec") {
      return Figures::kSpec;
    }
    if (text == "measured") {
      return Figures::kMeasured;
    }
    return bad_input(in_quotes(text) + " is neither spec nor measured");
  }
  static std::string format(Figures figures) { return figures == Figures::kSpec ? "spec" : "measured"; }
  static bool is_set(Figures) { return true; }
  static constexpr bool kIsText = true;
};

template <>
struct TextForm<LinkBySize> {
  static Result<LinkBySize> parse(std::string_view text) { return parse_link_by_size(text); }
  static std::string format(const LinkBySize& by_size) { return format_link_by_size(by_size); }
  static bool is_set(const LinkBySize& by_size) { return !by_size.points.empty(); }
  static constexpr bool kIsText = true;
};

namespace {

constexpr std::string_view kBySize = "far.link_read_by_size";

/// The fields of a far tier, wherever in a Hardware it lives.
template <class Access>
void add_far_fields(std::vector<Field<Hardware>>& fields, const std::string& prefix, Access tier) {
  const auto add = [&](const std::string& key, const std::string& doc, auto member) {
    fields.push_back(make_field<Hardware>(prefix + key, doc,
                                          [tier, member](auto& hardware) -> auto& { return member(tier(hardware)); }));
  };
  add("name", "what the tier is", [](auto& t) -> auto& { return t.name; });
  add("capacity", "bytes it holds", [](auto& t) -> auto& { return t.capacity; });
  add("bandwidth", "of the memory itself, reads and writes together, as specified",
      [](auto& t) -> auto& { return t.bandwidth.spec; });
  add("bandwidth_measured", "the same as measured", [](auto& t) -> auto& { return t.bandwidth.measured; });
  add("link_read", "of the link, far to near, as specified", [](auto& t) -> auto& { return t.link_read.spec; });
  add("link_read_measured", "the same as measured", [](auto& t) -> auto& { return t.link_read.measured; });
  add("link_write", "of the link, near to far, as specified", [](auto& t) -> auto& { return t.link_write.spec; });
  add("link_write_measured", "the same as measured", [](auto& t) -> auto& { return t.link_write.measured; });
  add("latency", "time that the first byte read from it adds to a step", [](auto& t) -> auto& { return t.latency; });
  add("link_read_by_size", "what link_read delivers for pieces of a size: `656B=4GB/s, 4KiB=45GB/s`, or a table",
      [](auto& t) -> auto& { return t.link_read_by_size; });
  add("link_granule", "bytes that link_read moves at once: each piece takes whole ones",
      [](auto& t) -> auto& { return t.link_granule; });
  add("link_header", "bytes that each granule takes beside its own", [](auto& t) -> auto& { return t.link_header; });
  add("shared_by", "GPUs that share capacity and bandwidth of the memory",
      [](auto& t) -> auto& { return t.shared_by; });
}

std::vector<Field<Hardware>> make_fields() {
  std::vector<Field<Hardware>> fields{
      KVPLACE_FIELD(Hardware, name, "name of the machine"),
      KVPLACE_FIELD(Hardware, description, "one line"),
      KVPLACE_FIELD(Hardware, figures, "which figures are used where both are known: spec or measured"),
      KVPLACE_FIELD(Hardware, interference, "a in T = max + a * second largest channel time; 0 <= a < 1"),
      KVPLACE_FIELD(Hardware, step_overhead, "fixed time added to each layer of each decode step"),
      KVPLACE_FIELD(Hardware, peak_flops, "arithmetic rate; a step is never shorter than its work at this rate"),
      KVPLACE_FIELD(Hardware, gpus, "GPUs of the node; near memory and link are of one of them"),
      KVPLACE_FIELD(Hardware, fabric, "of one GPU to the others of its node, one way"),
      KVPLACE_FIELD(Hardware, near.capacity, "bytes of near memory"),
      make_field<Hardware>("near.bandwidth", "near memory, reads and writes together, as specified",
                           [](auto& h) -> auto& { return h.near.bandwidth.spec; }),
      make_field<Hardware>("near.bandwidth_measured", "the same as measured",
                           [](auto& h) -> auto& { return h.near.bandwidth.measured; }),
  };
  add_far_fields(fields, "far.", [](auto& hardware) -> auto& { return hardware.far; });
  return fields;
}

/// "tier.N.key": the further tiers, which grow as they are named.
Status apply_tier_entry(const ConfigEntry& entry, Hardware& hardware) {
  constexpr std::size_t kMostTiers = 8;
  const ConfigEntry numbered = without_prefix(entry, "tier");
  const std::size_t dot = numbered.key.find('.');
  const Result<std::uint64_t> number = parse_count(std::string_view(numbered.key).substr(0, dot));
  if (!number || dot == std::string::npos || *number >= kMostTiers || *number > hardware.behind_far.size()) {
    return bad_input(entry.where + ": " + in_quotes(entry.key) +
                     ": further tiers are [[tier]] tables, in order, at most 8");
  }
  if (*number == hardware.behind_far.size()) {
    hardware.behind_far.emplace_back();
  }
  std::vector<Field<Hardware>> fields;
  add_far_fields(fields, "", [i = *number](auto& h) -> auto& { return h.behind_far[i]; });
  const ConfigEntry within = without_prefix(numbered, numbered.key.substr(0, dot));
  return apply_entry<Hardware>(fields, within, hardware);
}

Status validate_far(const FarTier& tier, const std::string& where) {
  const auto missing = [&](const std::string& key) {
    return bad_input(where + "." + key + " is missing or 0; give it a positive value with its unit");
  };
  if (tier.capacity.value() <= 0) {
    return missing("capacity");
  }
  const auto known = [](const Rate& rate) { return rate.spec.value() > 0 || rate.measured.value() > 0; };
  if (!known(tier.bandwidth)) {
    return missing("bandwidth");
  }
  if (!known(tier.link_read)) {
    return missing("link_read");
  }
  if (!known(tier.link_write)) {
    return missing("link_write");
  }
  if (!tier.link_read_by_size.points.empty() && tier.link_granule > Bytes(0)) {
    return bad_input(where + ": link_read_by_size and link_granule both say what a piece costs; give one of them");
  }
  if (tier.link_header > Bytes(0) && tier.link_granule <= Bytes(0)) {
    return bad_input(where + ".link_header is of a granule; give link_granule as well");
  }
  constexpr std::uint32_t kMostGpus = 4096;
  if (tier.shared_by > kMostGpus) {
    return bad_input(where + ".shared_by is absurd; at most 4096 GPUs");
  }
  return {};
}

}  // namespace

Hardware Hardware::of_one_gpu() const {
  Hardware one = *this;
  const auto share = [](FarTier& tier) {
    if (tier.shared_by > 1) {
      tier.capacity = Bytes(tier.capacity.value() / tier.shared_by);
      tier.bandwidth.spec = tier.bandwidth.spec * (1.0 / tier.shared_by);
      tier.bandwidth.measured = tier.bandwidth.measured * (1.0 / tier.shared_by);
      tier.shared_by = 1;
    }
  };
  share(one.far);
  for (FarTier& tier : one.behind_far) {
    share(tier);
  }
  return one;
}

BytesPerSecond Hardware::effective(const Rate& rate) const {
  const bool prefer_measured = figures == Figures::kMeasured;
  const BytesPerSecond first = prefer_measured ? rate.measured : rate.spec;
  const BytesPerSecond second = prefer_measured ? rate.spec : rate.measured;
  return first.value() > 0 ? first : second;
}

BytesPerSecond Hardware::link_read_of(Bytes piece) const {
  const BytesPerSecond whole = effective(far.link_read);
  if (piece <= Bytes(0)) {
    return whole;
  }
  if (!far.link_read_by_size.points.empty()) {
    return std::min(whole, far.link_read_by_size.at(piece));
  }
  if (far.link_granule <= Bytes(0)) {
    return whole;
  }
  const std::int64_t granules = (piece.value() + far.link_granule.value() - 1) / far.link_granule.value();
  return whole * (piece / ((far.link_granule + far.link_header) * granules));
}

std::span<const Field<Hardware>> hardware_fields() {
  static const std::vector<Field<Hardware>> kFields = make_fields();
  return kFields;
}

std::vector<Field<Hardware>> hardware_fields(const Hardware& hardware) {
  const std::span<const Field<Hardware>> common = hardware_fields();
  std::vector<Field<Hardware>> fields(common.begin(), common.end());
  for (std::size_t i = 0; i < hardware.behind_far.size(); ++i) {
    add_far_fields(fields, "tier." + std::to_string(i) + ".", [i](auto& h) -> auto& { return h.behind_far[i]; });
  }
  return fields;
}

Status apply_hardware_entry(const ConfigEntry& entry, Hardware& hardware) {
  if (entry.key.starts_with("tier.")) {
    return apply_tier_entry(entry, hardware);
  }
  if (entry.key.starts_with("provenance.")) {
    std::vector<std::string> known;
    for (const Field<Hardware>& field : hardware_fields(hardware)) {
      known.push_back(field.key);
    }
    return add_provenance(entry, known, hardware.provenance);
  }
  if (entry.key.starts_with(std::string(kBySize) + ".")) {  // a table has an entry per size
    const std::string size = without_prefix(entry, kBySize).key;
    if (Status status = add_link_size(size, entry.text, hardware.far.link_read_by_size); !status) {
      return bad_input(entry.where + ": " + entry.section + entry.key + ": " + status.error().message);
    }
    return {};
  }
  return apply_entry<Hardware>(hardware_fields(), entry, hardware);
}

Status validate(const Hardware& hardware, const std::string& where) {
  if (hardware.near.capacity.value() <= 0) {
    return bad_input(where + ": near.capacity is missing or 0; give it a size like \"96GB\"");
  }
  if (hardware.near.bandwidth.spec.value() <= 0 && hardware.near.bandwidth.measured.value() <= 0) {
    return bad_input(where + ": near.bandwidth is missing or 0; give it a bandwidth like \"4900GB/s\"");
  }
  if (!(hardware.interference >= 0 && hardware.interference < 1)) {
    return bad_input(where + ": interference must be at least 0 and less than 1");
  }
  KVPLACE_TRY(validate_far(hardware.far, where + ": far"));
  for (std::size_t i = 0; i < hardware.behind_far.size(); ++i) {
    KVPLACE_TRY(validate_far(hardware.behind_far[i], where + ": tier." + std::to_string(i)));
  }
  return {};
}

Result<Hardware> parse_hardware(std::string_view document, const std::string& name) {
  KVPLACE_ASSIGN(entries, parse_toml(document, name));
  Hardware hardware;
  // Provenance may name tiers, so it is read once they are known.
  for (const bool provenance : {false, true}) {
    for (const ConfigEntry& entry : entries) {
      if (entry.key.starts_with("provenance.") == provenance) {
        KVPLACE_TRY(apply_hardware_entry(entry, hardware));
      }
    }
  }
  KVPLACE_TRY(validate(hardware, name));
  return hardware;
}

Result<Hardware> load_hardware(std::string_view name_or_file) {
  KVPLACE_ASSIGN(document, find_document(name_or_file, embedded_hardware(), "hardware"));
  return parse_hardware(document.text, document.name);
}

std::vector<std::string> hardware_names() { return document_names(embedded_hardware()); }

}  // namespace kvplace
