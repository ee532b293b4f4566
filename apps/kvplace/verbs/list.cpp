#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "app.h"
#include "help_format.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/simulate/listing.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

using Json = nlohmann::ordered_json;

/// "4900GB/s", or "4900GB/s (4500GB/s measured)".
std::string rate(const Json& entry, const std::string& key) {
  const std::string spec = entry.value(key, "-");
  const std::string measured = entry.value(key + "_measured", "");
  return measured.empty() ? spec : spec + " (" + measured + ")";
}

/// An exact size in the table's three digits.
std::string size(const Json& entry, const std::string& key) {
  const Result<Bytes> bytes = parse_bytes(entry.value(key, ""));
  return bytes ? short_bytes(static_cast<double>(bytes->value())) : "-";
}

/// Of a parameter whose values are words, the word.
std::string default_of(const Json& parameter) {
  const auto value = parameter["default"].get<double>();
  const Json& choices = parameter["choices"];
  return choices.empty() ? fmt::format("{}", value) : choices[static_cast<std::size_t>(value)].get<std::string>();
}

/// Behind the unit; nothing for words, which the unit lists.
std::string range_of(const Json& parameter) {
  return !parameter["choices"].empty()
             ? ""
             : fmt::format(", {} to {}{}", parameter["least"].get<double>(), parameter["most"].get<double>(),
                           parameter["whole"].get<bool>() ? ", whole" : "");
}

std::string list_table(const std::string& what, const Json& list) {
  std::string out;
  if (what == "policies") {
    for (const Json& p : list) {
      out += fmt::format("{:<16} {:<10} {}\n", p["name"].get<std::string>(), p["information"].get<std::string>(),
                         p["doc"].get<std::string>());
      for (const Json& q : p["parameters"]) {
        out += fmt::format("{:<16} {:<10}   {} = {}: {} ({}{})\n", "", "", q["name"].get<std::string>(), default_of(q),
                           q["doc"].get<std::string>(), q["unit"].get<std::string>(), range_of(q));
      }
    }
  } else if (what == "hardware") {
    out += "Specified figures (measured ones in brackets; --set hardware.figures=measured uses them).\n";
    out += fmt::format("{:<17} {:>9} {:>22} {:>9} {:>20} {:>22} {:>22}\n", "name", "near", "bandwidth", "far",
                       "bandwidth", "link read", "link write");
    for (const Json& h : list) {
      out += fmt::format("{:<17} {:>9} {:>22} {:>9} {:>20} {:>22} {:>22}\n", h["name"].get<std::string>(),
                         h.value("near.capacity", "-"), rate(h, "near.bandwidth"), h.value("far.capacity", "-"),
                         rate(h, "far.bandwidth"), rate(h, "far.link_read"), rate(h, "far.link_write"));
    }
  } else if (what == "models") {
    out += fmt::format("{:<17} {:>6} {:>14} {:>16} {:>14} {:>8}\n", "name", "layers", "KV/token/layer", "weights/step",
                       "weights", "top-k");
    for (const Json& m : list) {
      out +=
          fmt::format("{:<17} {:>6} {:>14} {:>16} {:>14} {:>8}\n", m["name"].get<std::string>(), m.value("layers", "-"),
                      size(m, "kv_bytes_per_token_per_layer"), size(m, "weight_bytes_per_layer_per_step"),
                      size(m, "weight_bytes"), m.value("attention.sparse_top_k", "-"));
    }
  } else if (what == "engines") {
    out += fmt::format("{:<16} {:>8} {:>8} {:>9} {:>9} {:>10} {:>8}  {}\n", "name", "weights", "KV", "per layer",
                       "per step", "if tiered", "overlap", "");
    for (const Json& e : list) {
      out += fmt::format("{:<16} {:>8} {:>8} {:>9} {:>9} {:>10} {:>8}  {}\n", e["name"].get<std::string>(),
                         e.value("weights_efficiency", "1"), e.value("kv_efficiency", "1"),
                         e.value("layer_overhead", "-"), e.value("step_overhead", "-"), e.value("tiered_overhead", "-"),
                         e.value("overlap", "-"), e["description"].get<std::string>());
    }
  } else if (what == "generators") {
    for (const Json& g : list) {
      out += fmt::format("{:<26} {}\n", g["name"].get<std::string>(), g["description"].get<std::string>());
    }
  } else if (what == "settings") {
    for (const Json& s : list) {
      const std::string name = s["flag"].get<std::string>();
      const std::string by_default = s["default"].get<std::string>();
      out += fmt::format("{:<23} {:<20} {}{}\n", name.empty() ? s["key"].get<std::string>() : name,
                         s["range"].get<std::string>(), plain(s["doc"].get<std::string>()),
                         by_default.empty() ? "" : " (default: " + plain(by_default) + ")");
    }
  } else if (what == "results") {
    for (const Json& r : list) {
      out += fmt::format("{:<21} {:<12} {}\n", r["key"].get<std::string>(), r["unit"].get<std::string>(),
                         plain(r["doc"].get<std::string>()));
    }
  } else {
    for (const Json& f : list) {
      const bool in = f["import"].get<bool>();
      const bool both = in && f["export"].get<bool>();
      out += fmt::format("{:<16} {:<14} {}\n", f["name"].get<std::string>(),
                         both ? "import, export" : (in ? "import" : "export"), f["doc"].get<std::string>());
    }
  }
  return out;
}

struct ListFlags {
  std::string what;
  bool json = false;
};

VerbResult run(const ListFlags& flags) {
  KVPLACE_ASSIGN(list, listing_json(flags.what));
  KVPLACE_TRY(print(flags.json ? list + "\n" : list_table(flags.what, Json::parse(list))));
  return kDone;
}

}  // namespace

void add_list(App& app) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* verb =
      app.add_verb("list", "What there is, with units, defaults and ranges", [flags] { return run(*flags); });
  verb->add_option("what", flags->what, "what to list")->type_name(alternatives(listing_names()))->required();
  verb->add_flag("--json", flags->json,
                 "one JSON array, with the source of every figure; its keys are in docs/json.md");
}

}  // namespace kvplace::cli
