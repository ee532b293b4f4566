"""The command against the independent reference model in tests/reference: equal counts, equal times."""

from __future__ import annotations

import json
import os
import random
import unittest
from collections.abc import Sequence

import numpy as np

import cli
import kvplace_reference as ref

COUNTS = ("reads", "near_reads", "far_reads", "promotions", "evictions", "demotions", "peak_near_blocks")
PAPER = ref.Machine(near_bandwidth=4900e9, far_bandwidth=500e9, link_read=450e9, link_write=450e9)


def machine_flags(machine: ref.Machine) -> list[str]:
    """The flags that give this machine, whatever the preset."""
    values = {"near.bandwidth": machine.near_bandwidth, "far.bandwidth": machine.far_bandwidth,
              "far.link_read": machine.link_read, "far.link_write": machine.link_write}
    flags = [f"--set=hardware.{key}={value / 1e9:.0f}GB/s" for key, value in values.items()]
    return [*flags, f"--set=hardware.interference={machine.interference}"]


def setting_flags(setting: ref.Setting) -> list[str]:
    """The flags that give this setting."""
    sizes = ["--block-bytes", f"{setting.block_bytes:.0f}", "--weight-bytes-per-step",
             f"{setting.weight_bytes_per_step:.0f}"]
    return [*([] if setting.layer_bytes else sizes), "--near-capacity", f"{setting.capacity:.0f}B", "--mode",
            setting.mode,
            "--barrier", setting.barrier, "--overlap", setting.overlap, "--batch", str(setting.batch),
            "--start", setting.start, "--copies", setting.copies]


class Checker(cli.CliTest):
    def check(self, path: str, trace: ref.Trace, setting: ref.Setting, machine: ref.Machine = PAPER,
              bounds: bool = True, policies: Sequence[str] = tuple(ref.POLICIES), more: Sequence[str] = ()) -> None:
        """Policies of the reference on a trace that is in the file `path` too."""
        flags = [flag for name in policies for flag in ("--policy", name)]
        answer = self.json("compare", path, *setting_flags(setting), *machine_flags(machine), *flags, *more)
        for got in answer["results"]:
            with self.subTest(policy=got["policy"], setting=setting, machine=machine):
                want = ref.simulate(trace, setting, machine, got["policy"])
                self.assertEqual({k: got[k] for k in COUNTS}, {k: want[k] for k in COUNTS})
                self.assertEqual(got["far_reads_by_layer"], want["far_reads_by_layer"])
                self.assertAlmostEqual(got["total_s"], want["total_s"], delta=1e-9 * want["total_s"])
                self.assertAlmostEqual(got["tokens_per_s"], want["tokens_per_s"], delta=1e-9 * want["tokens_per_s"])
                loads = want["channel_bytes"]
                self.assertEqual([got["near_bytes"], got["far_read_bytes"], got["far_write_bytes"]],
                                 [loads["near.mem"], loads["far.link_read"], loads["far.link_write"]])
        self.assertEqual([r["policy"] for r in answer["results"]], list(policies))
        with self.subTest(bounds=setting, machine=machine):
            near_s = ref.all_near_s(trace, setting, machine)
            self.assertAlmostEqual(answer["bounds"]["all_near_s"], near_s, delta=1e-6 * near_s)
            if bounds:
                split_s = ref.perfect_split_s(trace, setting, machine)
                self.assertAlmostEqual(answer["bounds"]["perfect_split_s"], split_s, delta=1e-6 * split_s)


class SmallTraces(Checker):
    def test_random_traces(self) -> None:
        """Both granularities and formats, and settings drawn so that every option meets every other."""
        rng = random.Random(20)
        for case in range(36):
            layers, prompt = rng.randint(1, 4), rng.choice((0, 1, 5, 24))
            block_tokens = rng.choice((1, 1, 4))
            rows = cli.random_rows(case, layers, 40, prompt, block_tokens)
            if case % 2 == 0:
                path = self.make_trace("t.kvt", rows, prompt, block_tokens)
            else:
                np.save(self.path("t.npy"), cli.topk_array(rows, rng.choice(("<i4", "<i8"))))
                path = "t.kvt"
                self.ok("import", "t.npy", "-o", path, "--format", "topk-npy", "--prompt-tokens", prompt,
                        "--block-tokens", block_tokens)
            size, batch = 4 * 1000, rng.choice((1, 1, 3))
            everything = layers * ((prompt + 40) // block_tokens + 1)
            # In blocks: nothing, less than a block, no multiple of the layers, a few per layer, all.
            places = rng.choice((0, 0.7, layers * 2 + 0.5, layers * 3, layers * 5 + 1, layers * 8, everything))
            setting = ref.Setting(size, int(places * size) * batch, rng.choice((0, 0, 60_000)),
                                  rng.choice(("inclusive", "exclusive")), rng.choice(("layer", "token")),
                                  rng.choice(("full", "full", "none")), batch, rng.choice(("recent", "empty")),
                                  rng.choice(("step", "background", "background")))
            machine = rng.choice((PAPER, ref.Machine(4e9, 3e9, 2e9, 1e9), ref.Machine(4e9, 3e9, 2e9, 1e9, 0.25),
                                  ref.Machine(1e9, 9e9, 8e9, 7e9)))
            # The reference finds the best split of reads and writes by a nested search: only where that is quick.
            quick = setting.mode == "inclusive" or setting.barrier == "token"
            self.check(path, ref.make_trace(rows, prompt, block_tokens), setting, machine, bounds=quick)

    def test_capacities(self) -> None:
        """Every capacity from nothing to everything, both modes."""
        rows = cli.random_rows(99, 2, 30, 6)
        path, trace = self.make_trace("t.kvt", rows, 6), ref.make_trace(rows, 6, 1)
        for places in (*range(0, 12), 24, 72, 100):
            for mode in ("inclusive", "exclusive"):
                self.check(path, trace, ref.Setting(1000, places * 1000, mode=mode), bounds=False)

    def test_worked_example(self) -> None:
        """The worked example of the formulation."""
        path = self.make_trace("t.kvt", [[[0, 1, 3]], [[1, 2, 4]], [[0, 1, 5]]], 3)
        results = self.results(path, "--block-bytes", "1MB", "--near-blocks-per-layer", 3, "--weight-bytes-per-step",
                               "10MB", "--start", "empty", "--policy", "lru", "--policy", "belady")
        self.assertEqual([results[p]["far_reads"] for p in ("lru", "belady")], [4, 3])
        self.assertAlmostEqual(results["lru"]["total_s"], 14e-6, delta=1e-18)
        self.assertAlmostEqual(results["belady"]["total_s"], 10e-6 + 14e6 / 4900e9, delta=1e-18)

    def test_worked_example_of_migration_rules(self) -> None:
        """The example of "Migration rules": what issues both blocks in the first step."""
        path = self.make_trace("t.kvt", [[[3]], [[4]], [[0, 1, 5]]], 3)
        for copies, far_reads, seconds in (("step", 0, 6e-6 + 16.4e6 / 4900e9 + 18.4e6 / 4900e9),
                                           ("background", 1, 3.5e-6 + 3.5e-6 + 4e-6)):
            result = self.results(path, "--block-bytes", "1MB", "--near-capacity", "3MB", "--weight-bytes-per-step",
                                  "14.4MB", "--start", "empty", "--policy", "look-ahead:w=2", "--copies",
                                  copies)["look-ahead"]
            self.assertEqual((result["far_reads"], result["promotions"]), (far_reads, 2))
            self.assertAlmostEqual(result["total_s"], seconds, delta=1e-17)
            copied, near = {"step": (2_000_000, 53_200_000), "background": (1_500_000, 52_200_000)}[copies]
            self.assertEqual(result["far_read_bytes"], copied + far_reads * 1_000_000)
            self.assertEqual(result["near_bytes"], near)


class UnlikeLayers(Checker):
    """Layers that differ in KV, weights, states and index keys, and decode steps of several tokens."""

    POLICIES = ("lru", "layer-prefetch", "fifo", "belady")

    def model(self, rng: random.Random, layers: int, verified: int, block_tokens: int, batch: int
              ) -> tuple[str, tuple[int, ...], tuple[tuple[int, int], ...]]:
        """A model file; the block of each layer, and what is read of it beside: a + b x context."""
        text, blocks, fixed = "", [], []
        for layer in range(layers):
            kv, dense, state, keys = (rng.choice(c) for c in ((500, 1000, 1500), (0, 9000, 60000), (0, 700), (0, 40)))
            text += (f'[[layer]]\nat = "{layer}"\nkv_bytes_per_token = "{kv}B"\ndense_weight_bytes = "{dense}B"\n'
                     f'state_bytes_per_request = "{state}B"\nselector_bytes_per_token = "{keys}B"\n')
            blocks.append(kv * block_tokens)
            fixed.append((dense + batch * (state + keys * verified), batch * keys * verified))
        return self.write("m.toml", f'name = "unlike"\nlayers = {layers}\n' + text), tuple(blocks), tuple(fixed)

    def test_random_traces(self) -> None:
        rng = random.Random(21)
        for case in range(16):
            layers, prompt, steps = rng.randint(2, 4), rng.choice((1, 5, 24)), 30
            block_tokens, batch = rng.choice((1, 4)), rng.choice((1, 3))
            verified = rng.choice((1, 3, 4))
            tokens = [(verified, rng.randint(1, verified)) for _ in range(steps)]
            rows = cli.random_rows(100 + case, layers, steps, prompt, block_tokens)
            trace = ref.make_trace(rows, prompt, block_tokens, tokens)
            lines = [json.dumps({"l": l, "t": t, "p": trace.context(t), "tokens_verified": tokens[t][0],
                                 "tokens_accepted": tokens[t][1], "ids": ids})
                     for t, layer in enumerate(rows) for l, ids in enumerate(layer)]
            self.write("t.jsonl", "\n".join(lines) + "\n")
            self.ok("import", "t.jsonl", "-o", "t.kvt", "--columns", "layer=l,step=t,position=p,blocks=ids",
                    "--block-tokens", block_tokens)
            model, blocks, fixed = self.model(rng, layers, verified, block_tokens, batch)
            setting = ref.Setting(0, batch * rng.choice((0, 1, 3, 6)) * sum(blocks) + rng.choice((0, 777)), 0,
                                  rng.choice(("inclusive", "exclusive")), rng.choice(("layer", "token")),
                                  rng.choice(("full", "full", "none")), batch, rng.choice(("recent", "empty")),
                                  rng.choice(("step", "background")), blocks, fixed)
            self.check("t.kvt", trace, setting, rng.choice((PAPER, ref.Machine(4e9, 3e9, 2e9, 1e9, 0.25))),
                       bounds=setting.mode == "inclusive", policies=self.POLICIES, more=["--model", "m.toml"])


class RealTraces(Checker):
    def test_bundled_trace(self) -> None:
        """The first decode steps of the bundled trace, by way of its export."""
        steps, layers = 64, 30
        self.ok("export", cli.BUNDLED, "-o", "all.csv", "--format", "fang-csv")
        with open(self.path("all.csv"), encoding="ascii") as file:
            head = [next(file) for _ in range(1 + steps * layers)]
        self.write("head.csv", "".join(head))
        self.ok("import", "head.csv", "-o", "head.kvt", "--format", "fang-csv", "--block-tokens", 16,
                "--prompt-tokens", 4096)
        trace = ref.load_fang_csv(self.path("head.csv"), prompt_tokens=4096, block_tokens=16)
        size = 16 * 768
        self.check("head.kvt", trace, ref.Setting(size, 96 * layers * size), bounds=True)
        self.check("head.kvt", trace, ref.Setting(size, 64 * layers * size, start="empty", mode="exclusive"),
                   bounds=False)

    def test_token_trace(self) -> None:
        """512 decode steps of a captured trace at token granularity, against what the reference found once."""
        if not os.path.exists(cli.HOLMES):
            self.skipTest(f"{cli.HOLMES} is not there")
        with open(cli.SOURCE_DIR / "tests/golden/holmes_token_k512.json", encoding="utf-8") as file:
            golden = json.load(file)
        self.ok("import", cli.HOLMES, "-o", "h.kvt", "--format", "topk-npy", "--prompt-tokens", 4096)
        for start, wanted in golden["results"].items():
            policies = [flag for want in wanted for flag in ("--policy", want["policy"])]
            answer = self.json("compare", "h.kvt", "--block-bytes", 1152, "--near-blocks-per-layer", 1024,
                               "--weight-bytes-per-step", 0, "--start", start, *machine_flags(PAPER), *policies)
            for got, want in zip(answer["results"], wanted):
                with self.subTest(policy=want["policy"], start=start):
                    counts = [k for k in want if k != "total_s"]
                    self.assertEqual({k: got[k] for k in counts}, {k: want[k] for k in counts})
                    self.assertAlmostEqual(got["total_s"], want["total_s"], delta=1e-9 * want["total_s"])
            for bound, want in golden["bounds"].items():
                self.assertAlmostEqual(answer["bounds"][bound], want, delta=1e-6 * want)


if __name__ == "__main__":
    unittest.main()
