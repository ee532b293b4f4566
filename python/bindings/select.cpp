// Selection: methods, and selectors from queries and keys to sets and rankings.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/select/selector.h"

namespace nb = nanobind;

namespace kvplace::python {
namespace {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

/// Below this a thread of its own, as run() starts it, costs more than it gives.
constexpr std::uint32_t kLongSteps = 64;

/// An array of three dimensions, or of two, before which one of size 1 is set.
TensorView tensor_of(const Array& array, const char* what, std::size_t dimensions) {
  if (array.ndim() != dimensions) {
    throw ErrorException({ErrorKind::kBadInput, std::string(what) + " must have " + std::to_string(dimensions) +
                                                    " dimensions, not " + std::to_string(array.ndim())});
  }
  TensorView view;
  const auto dtype = array.dtype();
  const auto code = static_cast<nb::dlpack::dtype_code>(dtype.code);
  if (code == nb::dlpack::dtype_code::Float && dtype.bits == 32) {
    view.type = ElementType::kFloat32;
  } else if (code == nb::dlpack::dtype_code::Float && dtype.bits == 16) {
    view.type = ElementType::kFloat16;
  } else if (code == nb::dlpack::dtype_code::Bfloat && dtype.bits == 16) {
    view.type = ElementType::kBFloat16;
  } else {
    throw ErrorException({ErrorKind::kBadInput, std::string(what) +
                                                    " must be float32, float16 or bfloat16; convert with "
                                                    "astype(numpy.float32) or .float()"});
  }
  static const float kNothing = 0;  // an empty array may have no address, but it is not absent
  view.data = array.data() != nullptr ? array.data() : &kNothing;
  view.shape.fill(1);
  for (std::size_t i = 0; i < dimensions; ++i) {
    view.shape[i + 3 - dimensions] = array.shape(i);
    view.strides[i + 3 - dimensions] = static_cast<std::ptrdiff_t>(array.stride(i));
  }
  return view;
}

TensorView tensor_of(const std::optional<Array>& array, const char* what, std::size_t dimensions) {
  return array ? tensor_of(*array, what, dimensions) : TensorView();
}

struct PySelector {
  Selector selector;
  unsigned threads = 0;
};

/// Lists of a selection, which they keep alive.
struct Lists {
  std::shared_ptr<const Selection> selection;
  const IdLists* lists = nullptr;
};

struct PySelection {
  std::shared_ptr<const Selection> selection;

  [[nodiscard]] Lists lists(const IdLists& of) const { return {selection, &of}; }
  [[nodiscard]] std::optional<Lists> ranked(const IdLists& of) const {
    return of.size() == 0 ? std::nullopt : std::optional(lists(of));
  }
};

std::uint32_t default_position(const Selector& selector, std::size_t steps) {
  if (selector.block_tokens() == 0) {
    return 0;
  }
  if (selector.tokens() < steps || selector.tokens() == 0) {
    throw ErrorException({ErrorKind::kBadInput, selector.spec().name +
                                                    ": give first_position; by default the decode "
                                                    "steps are those of the last keys, but " +
                                                    std::to_string(selector.tokens()) + " keys were appended for " +
                                                    std::to_string(steps) + " steps"});
  }
  return selector.tokens() - static_cast<std::uint32_t>(steps);
}

PySelection select(PySelector& self, const std::optional<Array>& queries, const std::optional<Array>& keys,
                   const std::optional<Array>& scores, const std::optional<Array>& head_weights,
                   std::optional<std::uint32_t> first_position, std::optional<std::uint32_t> steps,
                   std::uint32_t ranking_depth) {
  SelectInput input;
  input.queries = tensor_of(queries, "queries", 3);
  input.scores = tensor_of(scores, "scores", 2);
  input.head_weights = tensor_of(head_weights, "head_weights", 2);
  if (keys) {
    const TensorView view = tensor_of(*keys, "keys", 3);
    const nb::gil_scoped_release released;
    unwrap(self.selector.append_keys(view));
  }
  const std::size_t given = scores ? input.scores.shape[1] : queries ? input.queries.shape[1] : 0;
  input.steps = steps ? *steps : static_cast<std::uint32_t>(given);
  input.first_position = first_position ? *first_position : default_position(self.selector, input.steps);
  input.ranking_depth = ranking_depth;
  if (input.steps < kLongSteps) {
    const nb::gil_scoped_release released;
    RunContext context;
    context.threads = self.threads;
    return {std::make_shared<const Selection>(unwrap(self.selector.select(input, context)))};
  }
  return {std::make_shared<const Selection>(run({self.threads, nb::none(), nullptr}, [&](const RunContext& context) {
    return self.selector.select(input, context);
  }))};
}

nb::list methods() {
  nb::list all;
  for (const SelectMethodInfo& info : SelectRegistry::instance().methods()) {
    nb::list parameters;
    for (const ParameterInfo& p : info.parameters) {
      nb::dict parameter;
      parameter["name"] = p.name;
      parameter["doc"] = p.doc;
      parameter["unit"] = p.unit;
      if (p.choices.empty()) {
        parameter["default"] = p.whole ? nb::object(nb::int_(static_cast<long long>(p.default_value)))
                                       : nb::object(nb::float_(p.default_value));
        parameter["least"] = p.least;
        parameter["most"] = p.most;
        parameter["whole"] = p.whole;
      } else {
        nb::list choices;
        for (const std::string& choice : p.choices) {
          choices.append(choice);
        }
        parameter["choices"] = choices;
        parameter["default"] = p.choices[static_cast<std::size_t>(p.default_value)];
      }
      parameters.append(parameter);
    }
    nb::dict method;
    method["name"] = info.name;
    method["doc"] = info.doc;
    method["source"] = info.source;
    method["needs"] = to_text(info.needs);
    method["parameters"] = parameters;
    all.append(method);
  }
  return all;
}

void bind_lists(nb::module_& module) {
  nb::class_<Lists>(module, "SelectedLists",
                    "Lists of block ids one behind the other: list i is ids[offsets[i]:offsets[i + 1]]. Arrays are "
                    "read-only views.")
      .def_prop_ro(
          "offsets",
          [](nb::handle_t<Lists> self) {
            const std::vector<std::uint64_t>& offsets = nb::cast<Lists&>(self).lists->offsets;
            return NumpyArray<const std::uint64_t>(offsets.data(), {offsets.size()}, self);
          },
          "uint64 [lists + 1].")
      .def_prop_ro(
          "ids",
          [](nb::handle_t<Lists> self) {
            return kvplace::python::view_of(std::span(nb::cast<Lists&>(self).lists->ids), self);
          },
          "uint32, all lists.")
      .def("__len__", [](const Lists& lists) { return lists.lists->size(); })
      .def(
          "__getitem__",
          [](nb::handle_t<Lists> self, nb::handle index) {
            std::ptrdiff_t i = 0;
            if (!nb::try_cast(index, i)) {
              throw nb::type_error("SelectedLists: an index is an int");
            }
            const IdLists& lists = *nb::cast<Lists&>(self).lists;
            const auto size = static_cast<std::ptrdiff_t>(lists.size());
            if (i < -size || i >= size) {
              throw nb::index_error("no such list");
            }
            return kvplace::python::view_of(lists[static_cast<std::size_t>(i < 0 ? i + size : i)], self);
          },
          nb::arg("index"), "uint32 ids of a list.")
      .def("__repr__", [](const Lists& lists) {
        return "<SelectedLists: " + std::to_string(lists.lists->size()) + " lists, " +
               std::to_string(lists.lists->ids.size()) + " ids>";
      });
}

void bind_selection(nb::module_& module) {
  nb::class_<PySelection>(module, "Selection", "One layer over consecutive decode steps; sets, rankings = selection.")
      .def_prop_ro(
          "steps", [](const PySelection& s) { return s.selection->steps; }, "Decode steps.")
      .def_prop_ro(
          "sets", [](const PySelection& s) { return s.lists(s.selection->sets); },
          "Per step the layer's set, ascending: the union of the heads' sets, what a trace stores.")
      .def_prop_ro(
          "rankings", [](const PySelection& s) { return s.ranked(s.selection->rankings); },
          "Per step the layer's ranking, best first, the set's ids first; None if ranking_depth was 0.")
      .def_prop_ro(
          "heads", [](const PySelection& s) { return s.selection->heads; },
          "Sets per step beside the layer's: query heads, KV heads or 0.")
      .def_prop_ro(
          "head_sets", [](const PySelection& s) { return s.lists(s.selection->head_sets); },
          "List step * heads + head: the set of a head.")
      .def_prop_ro(
          "head_rankings", [](const PySelection& s) { return s.ranked(s.selection->head_rankings); },
          "List step * heads + head: the ranking of a head; None if there are none.")
      .def("__iter__",
           [](const PySelection& s) {
             return nb::iter(nb::make_tuple(s.lists(s.selection->sets), s.ranked(s.selection->rankings)));
           })
      .def("__repr__", [](const PySelection& s) {
        return "<Selection of " + std::to_string(s.selection->steps) +
               " decode steps: " + std::to_string(s.selection->sets.ids.size()) + " reads>";
      });
}

void bind_selector(nb::module_& module) {
  nb::class_<PySelector>(
      module, "Selector",
      "The blocks that one layer reads in each decode step. Keys are appended in order of position; a step at position "
      "p sees keys 0 ... p, whatever lies behind them. Many steps in one call and one step at a time give the same.\n\n"
      "Arrays are float32, float16 or bfloat16 in host memory, of any strides, and taken in without copies.")
      .def(
          "__init__",
          [](PySelector* self, const std::string& method, std::uint32_t query_heads, std::uint32_t kv_heads,
             std::uint32_t head_dim, std::optional<double> scale, std::optional<double> softcap,
             std::vector<float> sinks, unsigned threads) {
            const SelectSpec spec = unwrap(SelectRegistry::instance().parse(method));
            SelectorShape shape{query_heads,         kv_heads,        head_dim, scale.value_or(0),
                                softcap.value_or(0), std::move(sinks)};
            new (self) PySelector{unwrap(Selector::make(spec, shape)), threads};
          },
          nb::arg("method"), nb::kw_only(), nb::arg("query_heads") = 1, nb::arg("kv_heads") = 1,
          nb::arg("head_dim") = 1, nb::arg("scale").none() = nb::none(), nb::arg("softcap").none() = nb::none(),
          nb::arg("sinks") = std::vector<float>(), nb::arg("threads") = 0,
          "method: NAME or NAME:key=value,...; see methods(). scale: of q.k in the softmax, default "
          "1 / sqrt(head_dim). softcap: scores are softcap * tanh(scale * q.k / softcap), default no cap. sinks: of "
          "each "
          "query head a score in the softmax that stands for no token. threads: 0 = one per core.")
      .def(
          "append",
          [](PySelector& self, const Array& keys) {
            const TensorView view = tensor_of(keys, "keys", 3);
            const nb::gil_scoped_release released;
            unwrap(self.selector.append_keys(view));
          },
          nb::arg("keys"), "The keys [kv_heads, new tokens, head_dim] of the next positions, after RoPE.")
      .def(
          "observe",
          [](PySelector& self, const Array& queries, std::uint32_t first_position) {
            const TensorView view = tensor_of(queries, "queries", 3);
            const nb::gil_scoped_release released;
            unwrap(self.selector.observe(view, first_position));
          },
          nb::arg("queries"), nb::arg("first_position"),
          "Shows queries [query_heads, tokens, head_dim] of the prompt's end, whose keys have been appended; needed "
          "once before the first select if observed_queries > 0, and ignored otherwise.")
      .def("select", &select, nb::arg("queries").none() = nb::none(), nb::arg("keys").none() = nb::none(),
           nb::kw_only(), nb::arg("scores").none() = nb::none(), nb::arg("head_weights").none() = nb::none(),
           nb::arg("first_position").none() = nb::none(), nb::arg("steps").none() = nb::none(),
           nb::arg("ranking_depth") = 0,
           "Selects for consecutive decode steps: queries [query_heads, steps, head_dim]; keys are appended first; "
           "scores [steps, columns] are token scores or router logits for methods that take them; head_weights "
           "[steps, query_heads] are those of method scores. first_position is that of the first step, by default "
           "tokens - steps. Rankings have ranking_depth ids, or as many as the set if it is larger.")
      .def_prop_ro(
          "method", [](const PySelector& s) { return s.selector.spec().text(); }, "Name with all parameters.")
      .def_prop_ro(
          "needs", [](const PySelector& s) { return to_text(s.selector.needs()); },
          "What select looks at: nothing, queries and keys, scores or queries and keys, scores.")
      .def_prop_ro(
          "block_tokens", [](const PySelector& s) { return s.selector.block_tokens(); },
          "Tokens of a block; 0 if blocks are experts.")
      .def_prop_ro(
          "tokens", [](const PySelector& s) { return s.selector.tokens(); }, "Keys appended so far.")
      .def_prop_ro(
          "observed_queries", [](const PySelector& s) { return s.selector.observed_queries(); },
          "Queries of the prompt's end that observe has to be shown.")
      .def("__repr__", [](const PySelector& s) {
        const SelectorShape& shape = s.selector.shape();
        return "<Selector " + s.selector.spec().text() + ": " + std::to_string(shape.query_heads) + " query heads, " +
               std::to_string(shape.kv_heads) + " KV heads of " + std::to_string(shape.head_dim) + ", " +
               std::to_string(s.selector.tokens()) + " tokens>";
      });
}

}  // namespace

void bind_select(nb::module_& module) {
  bind_lists(module);
  bind_selection(module);
  bind_selector(module);
  module.def("select_methods", &methods);
}

}  // namespace kvplace::python
