"""Served batches: what `kvplace merge` makes and `kvplace compare` counts, against the independent reference model."""

from __future__ import annotations

import json
import math
import random
import sys
import unittest

import cli
import kvplace_reference as ref
import served_batches as served
from test_against_reference import PAPER, Checker, machine_flags, setting_flags

sys.path.insert(0, str(cli.SOURCE_DIR / "tools"))
import trace_file  # noqa: E402


class Served(Checker):
    def merged(self, rng: random.Random, case: int) -> tuple[str, ref.Trace]:
        """A batch merged of a few traces by the command, and the same by the reference."""
        layers, block_tokens = rng.randint(1, 3), rng.choice((1, 1, 4))
        sources = []
        for n in range(rng.randint(1, 4)):
            steps, prompt = rng.randint(1, 25), rng.choice((0, 1, 5, 24))
            rows = cli.random_rows(1000 * case + n, layers, steps, prompt, block_tokens)
            self.make_trace(f"s{n}.kvt", rows, prompt, block_tokens)
            sources.append((prompt, rows))
        most = max(prompt + len(rows) for prompt, rows in sources)
        slots, kv_tokens = rng.choice((1, 2, 3, 8)), rng.choice((None, most, 2 * most))
        flags = ["--slots", slots, *(["--kv-tokens", kv_tokens] if kv_tokens else [])]
        kind = rng.choice(("together", "poisson", "log"))
        if kind == "log":
            waiting, picked, more = self.logged(rng, sources)
        else:
            count = rng.choice((len(sources), 7))
            picked = [n % len(sources) for n in range(count)]
            arrivals, more = [0.0] * count, ["--requests", count]
            if kind == "poisson":
                rate, seed = rng.choice((2, 20, 60)), rng.randrange(1000)
                arrivals = served.poisson_arrivals(seed, rate, 0.02, count)
                more += ["--arrivals", f"poisson:{rate}", "--seed", seed]
            waiting = [served.Waiting(at, sources[n][0], len(sources[n][1])) for at, n in zip(arrivals, picked)]
        self.ok("merge", *(f"s{n}.kvt" for n in range(len(sources))), "-o", "m.kvt", *flags, *more)
        requests, _ = served.admit(waiting, slots, kv_tokens or math.inf)
        return "m.kvt", served.make_served_trace(requests, [sources[n][1] for n in picked], block_tokens)

    def logged(self, rng: random.Random, sources: list) -> tuple[list[served.Waiting], list[int], list]:
        """Arrivals of a written log, whose lengths choose traces and outputs."""
        at, lines, waiting, picked = 0, [], [], []
        for n in range(rng.randint(1, 8)):
            at += rng.choice((0, 20, 130, 2000))  # ms; a decode step takes 10
            prompt, output = rng.randint(1, 30), rng.randint(1, 30)
            lines.append(json.dumps({"timestamp": at, "input_length": prompt, "output_length": output, "hash_ids": []}))
            # The nearest in length; of equally near ones the first from its turn on.
            turns = [(n + i) % len(sources) for i in range(len(sources))]
            picked.append(min(turns, key=lambda s: abs(sources[s][0] - prompt)))
            first = json.loads(lines[0])["timestamp"]
            waiting.append(served.Waiting((at - first) / 10, sources[picked[-1]][0],
                                          min(output, len(sources[picked[-1]][1]))))
        self.write("log.jsonl", "\n".join(lines) + "\n")
        return waiting, picked, ["--arrivals", "log.jsonl", "--step-time", "10ms"]

    def same_trace(self, path: str, trace: ref.Trace) -> None:
        """The file holds the reference's trace; read by the second verifier's reader."""
        found = trace_file.Trace(self.path(path))
        self.assertEqual([tuple(r) for r in found.served.rows], trace.served)
        records = 0
        for t, l, reads, _, appended, written, _, ended in found.steps():
            self.assertEqual((reads.tolist(), appended.tolist()), trace.steps[t][l])
            self.assertEqual([i for i, n in zip(appended.tolist(), written.tolist()) if n],
                             [i for i in appended.tolist() if ref.new_kv(trace, ref.Setting(1, 0), t, (l, i))])
            self.assertEqual(set(ended.tolist()), trace.ended(t))
            records += 1
        self.assertEqual(records, len(trace.steps) * trace.layers)
        self.assertEqual(found.digest, found.stated_digest)

    def check_served(self, path: str, trace: ref.Trace, setting: ref.Setting, machine: ref.Machine, **more: object) -> None:
        """As check(), and the times within which half and 99 % of all tokens are decoded."""
        self.check(path, trace, setting, machine, **more)
        flags = [flag for name in more.get("policies", ("lru", "belady")) for flag in ("--policy", name)]
        answer = self.json("compare", path, *setting_flags(setting), *machine_flags(machine), *flags, *more.get("more", ()))
        for got in answer["results"]:
            times = ref.simulate(trace, setting, machine, got["policy"])["token_times"]
            for key, percent in (("token_time_p50_s", 50), ("token_time_p99_s", 99)):
                want = ref.within(times, percent)
                self.assertAlmostEqual(got[key], want, delta=1e-9 * want, msg=key)

    def test_random_batches(self) -> None:
        rng = random.Random(30)
        arrived = ended = 0
        for case in range(24):
            path, trace = self.merged(rng, case)
            with self.subTest(case=case):
                self.same_trace(path, trace)
            most = max(sum(-(-(p + t + 1 - f) // trace.block_tokens) for p, f, e in trace.served if f <= t < e)
                       for t in range(len(trace.steps)))
            size = 4 * 1000
            places = rng.choice((0, 0.7, 2.5, most * trace.layers // 3, most * trace.layers // 2 + 0.5,
                                 trace.layers * most))
            setting = ref.Setting(size, int(places * size), rng.choice((0, 0, 60_000)),
                                  rng.choice(("inclusive", "exclusive")), rng.choice(("layer", "token")),
                                  rng.choice(("full", "full", "none")), 1, rng.choice(("recent", "empty")),
                                  rng.choice(("step", "background")))
            machine = rng.choice((PAPER, ref.Machine(4e9, 3e9, 2e9, 1e9), ref.Machine(4e9, 3e9, 2e9, 1e9, 0.25)))
            self.check_served(path, trace, setting, machine, bounds=setting.mode == "inclusive")
            arrived += any(first > 0 and prompt for prompt, first, _ in trace.served)
            ended += any(end < len(trace.steps) for _, _, end in trace.served)
        self.assertGreater(min(arrived, ended), 8)

    def test_unlike_layers(self) -> None:
        """Layers that differ in KV, weights, states of each running request and index keys of each running text."""
        rng = random.Random(31)
        for case in range(8):
            path, trace = self.merged(rng, 100 + case)
            text, blocks, fixed, by_running = "", [], [], []
            for layer in range(trace.layers):
                kv, dense, state, keys = (rng.choice(c) for c in ((500, 1000, 1500), (0, 9000), (0, 700), (0, 40)))
                text += (f'[[layer]]\nat = "{layer}"\nkv_bytes_per_token = "{kv}B"\ndense_weight_bytes = "{dense}B"\n'
                         f'state_bytes_per_request = "{state}B"\nselector_bytes_per_token = "{keys}B"\n')
                blocks.append(kv * trace.block_tokens)
                fixed.append((dense, keys))
                by_running.append(state + keys)
            self.write("m.toml", f'name = "unlike"\nlayers = {trace.layers}\n' + text)
            setting = ref.Setting(0, rng.choice((1, 3, 6)) * sum(blocks) + rng.choice((0, 777)), 0,
                                  rng.choice(("inclusive", "exclusive")), rng.choice(("layer", "token")), "full", 1,
                                  rng.choice(("recent", "empty")), rng.choice(("step", "background")), tuple(blocks),
                                  tuple(fixed), tuple(by_running))
            self.check_served(path, trace, setting, rng.choice((PAPER, ref.Machine(4e9, 3e9, 2e9, 1e9, 0.25))),
                              bounds=setting.mode == "inclusive", policies=("lru", "fifo", "belady"),
                              more=["--model", "m.toml"])


if __name__ == "__main__":
    unittest.main()
