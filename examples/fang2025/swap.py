#!/usr/bin/env python3
"""The synthetic traces of Fang et al. (arXiv 2508.13231), as scripts that seem theirs make them, against their figures.

Makes the traces of the generator fang2025-swap, swaps A (uniform in 0 to 10 % of the set, window 0.97 of the context)
and B (exactly 10 %, the whole context). Fits two unknowns to two published cells, the best case and Static at low
variation, on swaps A: the weight bytes read per token, and the bandwidth of far memory. KV bytes and the room for KV are
the paper's. Prints all fifteen cells beside what follows:

    examples/fang2025/swap.py --kvplace build/release/bin/kvplace

A block stands for --tokens tokens: a tenth of the context in a tenth of the decode steps has the same shares. Needs the
kvplace command and Python 3, nothing else. docs/fang2025.md tells what came out.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from fang2025 import LAYERS, POLICIES, PUBLISHED, STEPS, run

PROMPT_TOKENS = 31299
KV_BYTES = 16384  # of a token in a layer: multi-head attention, fp16
NEAR_BYTES_PER_S = 4900e9
SWAPS = {"A": (), "B": ("swap.least=0.1", "swap.window=1")}
# As the paper's text has them, and as the scripts have what is near at the start: the oldest tokens.
OURS = {"best-case": "best-case", "sa": "sa-guided", "page": "page", "reactive": "reactive", "static": "static-oldest"}
NEWEST = "Static, the newest near at the start"
NEAR = 0.10  # what counts as following


class Machine:
    def __init__(self, command, folder, tokens):
        self.command, self.folder, self.tokens = command, folder, tokens
        self.steps = STEPS // tokens

    def trace(self, swaps):
        """Makes the trace; KV bytes read per token, mean."""
        self.path = self.folder / "trace.kvt"
        flags = [f for s in SWAPS[swaps] for f in ("--set", s)]
        made = json.loads(run(self.command, ["generate", "fang2025-swap", "-o", self.path, "--json", "--prompt-tokens",
                                             PROMPT_TOKENS // self.tokens, "--steps", self.steps, *flags]))
        return made["reads"] * KV_BYTES * self.tokens / self.steps

    def seconds(self, weights, far, policies):
        """Policy -> seconds for all tokens. Weights in bytes per token, far in bytes/s."""
        found = {}
        for start in ("recent", "empty"):  # static-oldest: nothing else is near
            wanted = [p for p in policies if (p == "static-oldest") == (start == "empty")]
            if wanted:
                flags = [f for p in wanted for f in ("--policy", p)]
                flags += [f for key in ("bandwidth", "link_read", "link_write")
                          for f in ("--set", f"hardware.far.{key}={far:.0f}B/s")]
                compared = json.loads(run(self.command, [
                    "compare", self.path, "--hardware", "fang2025", "--model", "llama-3.1-8b-mha", "--start", start,
                    "--block-bytes", f"{KV_BYTES * self.tokens}B", "--weight-bytes-per-step", f"{weights / LAYERS:.0f}B",
                    *flags, "--json"]))
                for result in compared["results"]:
                    found[result["policy"]] = result["total_s"] * STEPS / self.steps
        return found


def fit(machine, kv):
    """Weight bytes per token and far bytes/s with which the best case and Static take their published times at low
    variation. The best case gives the bytes, of which KV is known; Static is faster the more far gives: by bisection."""
    def weights(far):
        return PUBLISHED["low"]["best-case"] / STEPS * (NEAR_BYTES_PER_S + far) - kv

    low, high = 300e9, 600e9
    for _ in range(10):
        far = (low + high) / 2
        seconds = machine.seconds(weights(far), far, ["static-oldest"])["static-oldest"]
        low, high = (far, high) if seconds > PUBLISHED["low"]["static"] else (low, far)
    return weights(far), far


def order(seconds):
    return sorted(POLICIES, key=seconds.get)


def print_tables(rows):
    print("| policy | published s: " + ", ".join(PUBLISHED) + " | " + " | ".join(f"swaps {s}, s" for s in rows) + " |")
    print("|---|---|" + "---|" * len(rows))
    for policy, name in POLICIES.items():
        published = ", ".join(f"{PUBLISHED[v][policy]:.2f}" for v in PUBLISHED)
        print(f"| {name} | {published} | " + " | ".join(f"{rows[s][policy]:.2f}" for s in rows) + " |")
    print(f"| {NEWEST} | - | " + " | ".join(f"{rows[s][NEWEST]:.2f}" for s in rows) + " |")
    print("\n| swaps | variation | follow within 10 %, fitted cells apart | order as published |\n|---|---|---|---|")
    for swaps, ours in rows.items():
        for variation, published in PUBLISHED.items():
            counted = [p for p in POLICIES if variation != "low" or p not in ("best-case", "static")]
            follow = [POLICIES[p] for p in counted if abs(ours[p] / published[p] - 1) <= NEAR]
            same = "yes" if order(ours) == order(published) else "no"
            print(f"| {swaps} | {variation} | {len(follow)} of {len(counted)}: {', '.join(follow)} | {same} |")


def main():
    parser = argparse.ArgumentParser(description="Swap traces against the figures of Fang et al., IEEE CAL 2025")
    parser.add_argument("--kvplace", default="kvplace", help="the command (default: kvplace)")
    parser.add_argument("--tokens", type=int, default=10, help="tokens that a block stands for (default: 10)")
    options = parser.parse_args()
    if not 1 <= options.tokens <= 1000:
        parser.error("--tokens is 1 to 1000")
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(options.kvplace, Path(folder), options.tokens)
        rows = {}
        for swaps in SWAPS:
            print(f"swaps {swaps} ...", file=sys.stderr)
            kv = machine.trace(swaps)
            if swaps == "A":
                weights, far = fit(machine, kv)
            found = machine.seconds(weights, far, [*OURS.values(), "static"])
            rows[swaps] = {**{p: found[OURS[p]] for p in POLICIES}, NEWEST: found["static"]}
    print(f"Fitted: far {far / 1e9:.0f} GB/s, weights {weights / 1e9:.2f} GB per token, "
          f"{100 * weights / (weights + kv):.1f} % of {(weights + kv) / 1e9:.2f} GB.\n")
    print_tables(rows)


if __name__ == "__main__":
    main()
