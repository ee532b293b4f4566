"""Every parameter of every public function: an argument of a wrong type is refused by name, before any work."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
import unittest

import kvplace
import numpy as np
from python_test import BUNDLED, INSTANCE, CliTest


class Wrong:
    """An object that no parameter takes."""

    def __repr__(self) -> str:
        return "<wrong>"


# What the package makes for its users: nobody calls these constructors.
RESULTS = {"Advice", "Bounds", "BudgetCheck", "BudgetOutcome", "Comparison", "LayerBudgets", "ProvenBound", "Replay", "Report",
           "Result", "Selection", "SelectedLists", "Size", "SizeAnswer", "SizeProbe", "TraceInfo", "VerifiedBound"}


def public_calls() -> list[tuple[str, object]]:
    """Names and callables: functions, constructors and methods that have parameters."""
    found = []
    for module in (kvplace, kvplace.select):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                found.append((name, thing))
            elif inspect.isclass(thing) and not issubclass(thing, BaseException) and not getattr(thing, "_is_protocol", False):
                found += [(f"{name}.{method}", getattr(thing, method)) for method in methods_of(thing)]
    return [(name, call) for name, call in found if parameters_of(call)]


def methods_of(thing: type) -> list[str]:
    """Public methods, __getitem__ of sequences, and the constructor of what users make."""
    names = {name for name, value in inspect.getmembers(thing, callable) if not name.startswith("_")}
    if thing.__name__ in RESULTS:
        names -= {"index", "count", "get"}  # of collections.abc
        if thing is not kvplace.Comparison:
            names -= {"plot"}  # one for all results
    else:
        names.add("__init__")
    return sorted(names - {"get", "keys", "items", "values"})


def parameters_of(call: object) -> list[str]:
    """Those that take an argument, without self."""
    try:
        signature = inspect.signature(call)
    except ValueError:  # of nanobind, without a Python function before it
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in signature.parameters.items() if p.kind in kinds and name != "self"]


class ArgumentTypes(CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = kvplace.Trace(BUNDLED)
        self.instance = kvplace.Instance(self.trace, **INSTANCE)

    @functools.cached_property
    def owners(self) -> dict[str, object]:
        """An object of each class whose methods are called; a refused call leaves it as it was."""
        return {
            "Hardware": kvplace.Hardware("fang2025"), "Model": kvplace.Model("qwen3-8b"),
            "Preset": kvplace.Hardware("fang2025"), "Instance": self.instance, "Trace": self.trace,
            "TraceWriter": kvplace.TraceWriter(self.path("w.kvt"), layers=2, prompt_tokens=4, measurement_room=99,
                                               ranking=True, read_bytes=True),
            "Sweep": kvplace.Sweep(self.path("s.sqlite")),
            "Comparison": kvplace.compare(self.trace, self.instance, "lru"),
            "Selector": kvplace.select.Selector("mass:k=4"),
        }

    def good(self, name: str) -> object:
        """A value of the right type for a required parameter, so that only the one looked at is wrong."""
        return {"trace": self.trace, "instance": self.instance, "instances": [self.instance], "values": {},
                "path": self.path("x.kvt"), "layers": 2, "prompt_tokens": 4, "first_position": 0,
                "topk": np.zeros((1, 1, 1), np.int32), "queries": np.zeros((1, 1, 1), np.float32), "keys": np.zeros((1, 1, 1), np.float32),
                "reads": [[0], [1]] if name == "add_step" else [0]}.get(name, "missing.x")

    def call_with(self, name: str, call: typing.Any, parameter: str, value: object) -> None:
        owner, _, method = name.partition(".")
        required = [n for n, p in inspect.signature(call).parameters.items()
                    if p.default is p.empty and n != "self" and p.kind is not p.VAR_KEYWORD]
        arguments = {n: self.good(n) for n in required} | {parameter: value}
        if method == "__init__":
            getattr(kvplace.select if owner == "Selector" else kvplace, owner)(**arguments)
        elif method and "self" in inspect.signature(call).parameters:
            getattr(self.owners[owner], method)(**arguments)
        else:
            call(**arguments)

    def test_every_parameter_is_named(self) -> None:
        calls = public_calls()
        names = {name for name, _ in calls}
        for known in ("compare", "Instance.__init__", "Trace.csr", "TraceWriter.add", "Selector.select", "budgets",
                      "Hardware.replace", "Result.from_dict"):
            self.assertIn(known, names)
        for name, call in calls:
            if name.startswith("Preset.__init__"):
                continue  # of no kind; Hardware and Model are
            for parameter in parameters_of(call):
                with self.subTest(call=name, parameter=parameter):
                    with self.assertRaises((TypeError, ValueError)) as caught:
                        self.call_with(name, call, parameter, Wrong())
                    message = str(caught.exception)
                    self.assertIn(parameter, message)
                    self.assertRegex(message, rf"{parameter} takes .|{parameter}: |{parameter} .*are a list of")
                    self.assertNotRegex(message, "incompatible function|std::|nanobind")
                    self.assertLess(len(message), 300)
        self.owners.clear()  # an unfinished trace goes with its writer
        self.assertEqual(self.names(), [])

    def test_what_people_write(self) -> None:
        """Values that look right and are not, and what is said of them."""
        for call, *says in (
                (lambda: kvplace.compare(self.trace, self.instance, "lru", bound="yes"),
                 "compare: bound takes True or False, not 'yes' (str)"),
                (lambda: kvplace.compare(self.trace, self.instance, 7), "policies takes a str, a sequence of str or None"),
                (lambda: kvplace.compare(self.trace, self.instance, ["lru", 7]), "policies takes", "['lru', 7] (list)"),
                (lambda: kvplace.compare(BUNDLED, self.instance), "compare: trace takes a kvplace.Trace"),
                (lambda: kvplace.Instance(self.trace, near_blocks_per_layer="96"),
                 "Instance: near_blocks_per_layer takes an int or None, not '96' (str)"),
                (lambda: kvplace.Instance(self.trace, hardware=["h100"]),
                 "hardware takes a str, a path, a kvplace.Preset or None"),
                (lambda: kvplace.Instance(self.trace, **{"hardware.interference": object()}), "hardware.interference"),
                (lambda: kvplace.show_config(mode=3), "mode takes a str or None, not 3 (int)"),
                (lambda: kvplace.compare(self.trace, self.instance, threads=True), "threads takes an int, not True"),
                (lambda: kvplace.compare(self.trace, self.instance, progress=3),
                 "an object with the methods start, update, finish"),
                (lambda: self.trace.to_numpy(steps=5), "steps takes a range, a tuple (int, int) or None"),
                (lambda: self.trace["0"], "a decode step is an int, not '0' (str)"),
                (lambda: kvplace.size(self.trace, self.instance, 90), "size: target takes a str, not 90 (int)"),
                (lambda: kvplace.select.Selector("mass:k=4").append([[1.0]]), "keys takes an array of numpy or torch")):
            with self.subTest(says=says), self.assertRaises(TypeError) as caught:
                call()
            for fragment in says:
                self.assertIn(fragment, str(caught.exception))

    def test_numbers_beyond_the_integers(self) -> None:
        for keywords in ({"threads": -1}, {"threads": 2**32}, {"threads": 2**70}):
            with self.subTest(**keywords), self.assertRaisesRegex(kvplace.BadInput, r"threads is -?\d+, not .* 2\^32"):
                kvplace.compare(self.trace, self.instance, "lru", **keywords)

    def test_numbers_of_numpy_and_paths_are_taken(self) -> None:
        with_numpy = kvplace.Instance(self.trace, hardware="h100-sxm-pcie5", near_blocks_per_layer=np.int64(96),
                                      weight_bytes_per_step=np.float64(0))
        self.assertEqual(with_numpy.to_dict(), self.instance.to_dict())
        half = [kvplace.Instance(self.trace, near_fraction=of(0.5)).near_capacity_bytes
                for of in (float, np.float64, np.float32)]
        self.assertEqual(half, half[:1] * 3)
        self.assertEqual(kvplace.Instance(self.trace, block_bytes=2e6).block_bytes, 2_000_000)
        texts = self.instance.show_config("lru")
        self.assertEqual(texts, self.instance.show_config(("lru",)))
        self.assertEqual(texts, self.instance.show_config(policy for policy in ["lru"]))

    def test_signatures_are_kept(self) -> None:
        for name, call in public_calls():
            self.assertTrue(inspect.getdoc(call), name)
            if not dataclasses.is_dataclass(call):
                self.assertNotIn("args", inspect.signature(call).parameters, name)


if __name__ == "__main__":
    unittest.main()
