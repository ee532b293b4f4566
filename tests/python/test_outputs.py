"""No output of a Python function takes the place of an input. Functions and their files come from the signatures."""

import inspect
import os
import pathlib
import re
import unittest

import numpy as np

import kvplace
from python_test import CliTest, random_rows

HARDWARE = """
name = "mine"
near.capacity = "23GiB"
near.bandwidth = "4900GB/s"
far.capacity = "480GiB"
far.bandwidth = "500GB/s"
far.link_read = "450GB/s"
far.link_write = "450GB/s"
"""


def paths_of(function):
    """Its parameters that name a file."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a module, or bound in C++
        return set()
    return {name for name, parameter in parameters.items()
            if "PathLike" in str(parameter.annotation) or "PresetLike" in str(parameter.annotation)}


def public_functions():
    """Every function and method of the package, with the name it is called by."""
    for name in kvplace.__all__:
        value = getattr(kvplace, name)
        if not inspect.isclass(value):
            yield name, value
            continue
        yield name, value.__init__
        for method, function in vars(value).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                yield f"{name}.{method}", function


class Outputs(CliTest):
    def setUp(self):
        super().setUp()
        self.make_trace("t.kvt", random_rows(3, 2, 12, 8), 8)
        np.save(self.path("t.npy"), kvplace.Trace(self.path("t.kvt")).to_numpy())
        self.write("h.toml", HARDWARE)
        self.write("m.toml", 'name = "own"\nlayers = 2\nkv_bytes_per_token_per_layer = "4KiB"\n')
        self.write("c.toml", "[options]\nbatch = 2\n")
        self.write("b.toml", "layer_budgets = [5, 3]\n")
        self.write("g.toml", "layers = 2\nsteps = 9\nprompt_tokens = 64\nbudget.blocks = 4\n")
        self.write("study.toml", 'trace = "t.kvt"\npolicies = ["lru"]\n[grid]\n"options.near_blocks_per_layer" = [3, 4]\n')
        self.write("t.cert", "")
        self.write("t.kvs", "")
        self.write("p.txt", "a text")
        self.trace = kvplace.Trace(self.path("t.kvt"))
        self.instance = self.instance_of()

    def instance_of(self, **more):
        files = {"config": "c.toml", "hardware": "h.toml", "model": "m.toml", "layer_budgets": "b.toml"}
        return kvplace.Instance(self.trace, near_blocks_per_layer=4,
                                **{key: self.path(name) for key, name in files.items()}, **more)

    def calls(self):
        """Function -> what calls it with further keywords, and the inputs it then has. Outputs are left out."""
        of_instance = ["t.kvt", "c.toml", "h.toml", "m.toml", "b.toml"]
        trace, instance, path = self.trace, self.instance, self.path
        sweep = kvplace.sweep(path("study.toml"), path("s.sqlite"))
        deployment = {"model": path("m.toml"), "hardware": path("h.toml"), "context": 64, "time_limit": 0}
        return {
            "advise": (lambda **more: kvplace.advise(**{**deployment, **more}), []),
            "bound": (lambda **more: kvplace.bound(trace, instance, **more), of_instance),
            "budgets": (lambda **more: kvplace.budgets(instance, **more), of_instance),
            "compare": (lambda **more: kvplace.compare(trace, instance, "lru", **more), of_instance),
            "from_arrays": (lambda out: kvplace.from_arrays(np.zeros((2, 1, 1), dtype=np.int32), out, prompt_rows=0), []),
            "generate": (lambda workload=path("g.toml"), out=path("new.kvt"): kvplace.generate(workload, out),
                         ["g.toml"]),
            "generate_like": (lambda **more: kvplace.generate_like(trace, **more), ["t.kvt"]),
            "import_trace": (lambda sources=path("t.npy"), out=path("new.kvt"): kvplace.import_trace(
                sources, out, "topk-npy"), ["t.npy"]),
            "merge": (lambda traces=path("t.kvt"), out=path("new.kvt"), **more: kvplace.merge(traces, out, **more), ["t.kvt"]),
            "record": (lambda prompts=path("p.txt"), out=path("new.kvt"): kvplace.record(
                "sglang", "http://127.0.0.1:9", prompts, out), ["p.txt"]),
            "record_schedule": (lambda out: kvplace.record_schedule(trace, instance, "lru", out), of_instance),
            "report": (lambda out: kvplace.report(trace, instance, out, "lru"), of_instance),
            "replay": (lambda schedule: kvplace.replay(trace, schedule, instance), []),
            "show_config": (lambda **more: kvplace.show_config(trace, **more), []),
            "verify": (lambda certificate: kvplace.verify(trace, certificate), []),
            "Hardware": (lambda name_or_file: kvplace.Hardware(name_or_file), []),
            "Model": (lambda name_or_file: kvplace.Model(name_or_file), []),
            "Preset": (lambda name_or_file: kvplace.Hardware(name_or_file), []),
            "Instance": (lambda **more: kvplace.Instance(trace, block_bytes=4096, **more), []),
            "Trace": (lambda path: kvplace.Trace(path), []),
            "Sweep": (lambda path: kvplace.Sweep(path).status, []),
            "Sweep.to_parquet": (lambda path: sweep.to_parquet(path), ["s.sqlite"]),
            "sweep": (lambda study=self.path("study.toml"), database=self.path("new.sqlite"): kvplace.sweep(study, database),
                      ["study.toml"]),
            "Trace.export": (lambda out, **more: trace.export(out, "fang-csv", **more), ["t.kvt"]),
            "Trace.slice": (lambda out: trace.slice(out, steps=(0, 5)), ["t.kvt"]),
            "TraceWriter": (self.write_trace, ["t.kvt"]),
        }

    def write_trace(self, path):
        with kvplace.TraceWriter(path, layers=1, prompt_tokens=4) as writer:
            writer.add([0])

    def contents(self):
        return {name: (os.lstat(self.path(name)).st_ino, self.read(name)) for name in self.names()}

    def test_no_parameter_that_names_a_file_replaces_an_input(self):
        calls = self.calls()
        refused = set()
        for name, function in public_functions():
            for parameter in sorted(paths_of(function)):
                self.assertIn(name, calls, f"{name}({parameter}): add a call of it, so that it is tested")
                call, inputs = calls[name]
                for given in inputs or ["t.kvt"]:
                    for link, make in (("symbolic", os.symlink), ("hard", os.link)):
                        if os.path.lexists(self.path(link)):
                            os.remove(self.path(link))
                        make(self.path(given), self.path(link))
                    before = self.contents()
                    for spelling in (given, "./" + given, "symbolic", "hard"):
                        with self.subTest(function=name, parameter=parameter, name=spelling):
                            try:
                                call(**{parameter: self.path(spelling)})
                            except kvplace.Error as error:
                                if "is the input as well" in str(error):
                                    refused.add(f"{name}({parameter})")
                            after = self.contents()
                            for made in set(after) - set(before):
                                os.remove(self.path(made))
                                del after[made]
                            self.assertEqual(after, before)
        self.assertEqual(refused, {
            "bound(any_certificate)", "bound(certificate)", "bound(schedule)", "bound(values)", "budgets(out)",
            "advise(html)", "compare(html)", "compare(schedule_out)", "report(out)", "from_arrays(out)", "generate(out)", "generate_like(out)", "generate_like(save_config)",
            "import_trace(out)", "merge(out)", "record(out)", "record_schedule(out)", "Sweep.to_parquet(path)", "Trace.export(out)", "Trace.slice(out)", "TraceWriter(path)"})

    def test_what_is_no_longer_in_use_may_be_replaced(self):
        out = self.path("new.kvt")
        first = kvplace.generate(self.path("g.toml"), out)
        with self.assertRaisesRegex(kvplace.BadInput, "new.kvt: is the input as well"):
            kvplace.generate(self.path("g.toml"), out, {"seed": 1})
        digest = first.digest
        del first
        self.assertNotEqual(kvplace.generate(self.path("g.toml"), out, {"seed": 1}).digest, digest)

        budgets = self.path("b.toml")
        with self.assertRaisesRegex(kvplace.BadInput, "b.toml: is the input as well"):
            kvplace.budgets(kvplace.Instance(self.trace, near_blocks_per_layer=4, block_bytes=4096), out=budgets)
        del self.instance
        kvplace.budgets(kvplace.Instance(self.trace, near_blocks_per_layer=4, block_bytes=4096), out=budgets)
        self.assertIn("made_from", pathlib.Path(budgets).read_text(encoding="utf-8"))

    def test_one_writer_at_a_time(self):
        with kvplace.TraceWriter(self.path("w.kvt"), layers=1, prompt_tokens=4) as writer:
            with self.assertRaisesRegex(kvplace.Failed, "w.kvt: is being written already"):
                self.write_trace(self.path("w.kvt"))
            writer.add([0])
        self.assertEqual(kvplace.Trace(self.path("w.kvt")).steps, 1)

    def test_two_outputs_are_two_files(self):
        one = {"certificate": self.path("one"), "schedule": self.path("./one")}
        with self.assertRaisesRegex(kvplace.BadInput, "is the name of two outputs"):
            kvplace.bound(self.trace, self.instance, **one)
        with self.assertRaisesRegex(kvplace.BadInput, "is the name of two outputs"):
            kvplace.generate_like(self.trace, self.path("one"), save_config=self.path("one"))
        self.assertNotIn("one", self.names())


class Sources(unittest.TestCase):
    def test_no_python_of_the_package_writes_files_itself(self):
        """What writes goes through the core, which knows what is an input; but for files in a temporary folder."""
        writes = re.compile(r"write_text\(|write_bytes\(|np\.save|savetxt|tofile\(|to_csv\(|shutil\.|os\.replace|rename\("
                            r"|open\([^)]*['\"][rwax+b]*[wax+]")
        folder = pathlib.Path(kvplace.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if not line.endswith("  # in a temporary folder"):
                    self.assertIsNone(writes.search(line), f"{path}:{number}: {line.strip()}")


if __name__ == "__main__":
    unittest.main()
