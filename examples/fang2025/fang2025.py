#!/usr/bin/env python3
"""The evaluation of Fang et al. (IEEE CAL 2025, arXiv 2508.13231), rebuilt with synthetic traces.

Generates the paper's workload in three variations, replays its five policies on its machine, sweeps the sparsity, and
writes a table beside the published figures and two plots (SVG). Needs the kvplace command and Python 3, nothing else:

    examples/fang2025/fang2025.py --kvplace build/release/bin/kvplace -o fang2025-results --scale 0.1

--scale 0.1 decodes a tenth of the tokens; times are given for all of them. docs/fang2025.md tells what came out.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

STEPS = 10239
LAYERS = 32
POLICIES = {"best-case": "Best case", "sa": "SA-guided", "page": "Page", "reactive": "Reactive", "static": "Static"}
VARIATIONS = {"low": "fang2025-narrativeqa-low", "actual": "fang2025-narrativeqa", "high": "fang2025-narrativeqa-high"}
# Seconds at 60 % sparsity, as published.
PUBLISHED = {
    "low": {"best-case": 24.59, "sa": 24.93, "page": 25.15, "reactive": 89.11, "static": 165.31},
    "actual": {"best-case": 24.60, "sa": 25.70, "page": 47.73, "reactive": 85.95, "static": 140.01},
    "high": {"best-case": 24.61, "sa": 52.44, "page": 65.14, "reactive": 100.43, "static": 122.30},
}
PUBLISHED_HITS = {"sa": 0.91, "page": 0.89, "reactive": 0.76, "static": 0.58}  # of all bytes, weights included
COLOURS = {"best-case": "#888888", "sa": "#1b7837", "page": "#2166ac", "reactive": "#e08214", "static": "#b2182b"}


def run(command, arguments):
    """Standard output of the command, which must succeed."""
    done = subprocess.run([command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"kvplace {' '.join(map(str, arguments))} failed with exit code {done.returncode}")
    return done.stdout


def steps_at(scale):
    return max(2, round(STEPS * scale))


class Experiment:
    def __init__(self, options):
        self.command = options.kvplace
        self.out = Path(options.out)
        self.keep = options.keep_traces

    def measure(self, preset, scale, policies, *settings):
        """Policy -> seconds for all tokens, and hit rate with weights, on a fresh trace of the preset."""
        steps = steps_at(scale)
        trace = self.out / "trace.kvt"
        flags = [f for s in settings for f in ("--set", s)]
        run(self.command, ["generate", preset, "-o", trace, "--steps", steps, *flags])
        chosen = [f for p in policies for f in ("--policy", p)]
        compared = json.loads(run(self.command, ["compare", trace, "--hardware", "fang2025", "--model",
                                                 "llama-3.1-8b-mha", "--mode", "inclusive", *chosen, "--json"]))
        if not self.keep:
            trace.unlink()
        instance = compared["instance"]
        block = instance["block_bytes"]
        weights = instance["weight_bytes_per_step"] * LAYERS * steps
        found = {}
        for result in compared["results"]:
            total = weights + result["reads"] * block
            found[result["policy"]] = {"seconds": result["total_s"] * STEPS / steps,
                                       "hits": (weights + result["near_reads"] * block) / total,
                                       "near_reads": result["near_reads"] / result["reads"]}
        found["bound"] = {"seconds": compared["bounds"]["perfect_split_s"] * STEPS / steps}
        return found


def table(results):
    """Published and modelled times side by side, as Markdown."""
    lines = ["| variation | policy | published s | kvplace s | published / best case | kvplace / best case | hit rate |",
             "|---|---|---|---|---|---|---|"]
    for variation, found in results.items():
        best = found["best-case"]["seconds"]
        for policy, name in POLICIES.items():
            published = PUBLISHED[variation][policy]
            ours = found[policy]["seconds"]
            hits = f"{found[policy]['hits']:.2f}"
            if variation == "actual" and policy in PUBLISHED_HITS:
                hits += f" (published {PUBLISHED_HITS[policy]:.2f})"
            lines.append(f"| {variation} | {name} | {published:.2f} | {ours:.2f} | "
                         f"{published / PUBLISHED[variation]['best-case']:.2f} | {ours / best:.2f} | {hits} |")
    return "\n".join(lines) + "\n"


def sweep_table(sweep):
    lines = ["| sparsity | " + " | ".join(POLICIES[p] for p in next(iter(sweep.values())) if p in POLICIES) + " |",
             "|---|" + "---|" * sum(p in POLICIES for p in next(iter(sweep.values())))]
    for sparsity, found in sweep.items():
        cells = [f"{found[p]['seconds']:.2f}" for p in found if p in POLICIES]
        lines.append(f"| {sparsity} % | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def svg(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def text(x, y, words, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def bars(results):
    """Published (pale) and modelled (full) times by variation and policy."""
    height, base, left, bar = 320, 260, 60, 14
    most = max(max(max(PUBLISHED[v].values()), *(f["seconds"] for f in found.values())) for v, found in results.items())
    parts = [text(left - 8, base + 4, "0 s", "end"), text(left - 8, 34, f"{most:.0f} s", "end"),
             text(left + 240, 16, "decode time at 60 % sparsity: published (pale), kvplace (full)")]
    x = left
    for variation, found in results.items():
        begin = x
        for policy in POLICIES:
            for seconds, opacity in ((PUBLISHED[variation][policy], 0.35), (found[policy]["seconds"], 1)):
                tall = 230 * seconds / most
                parts.append(f'<rect x="{x}" y="{base - tall:.1f}" width="{bar}" height="{tall:.1f}" '
                             f'fill="{COLOURS[policy]}" fill-opacity="{opacity}"/>')
                x += bar
            x += 4
        parts.append(text((begin + x) / 2, base + 18, variation))
        x += 24
    for i, (policy, name) in enumerate(POLICIES.items()):
        parts.append(f'<rect x="{left + 100 * i}" y="{base + 34}" width="10" height="10" fill="{COLOURS[policy]}"/>')
        parts.append(text(left + 100 * i + 14, base + 44, name, "start"))
    return svg(x + 20, height, parts)


def lines(sweep):
    """Modelled times over sparsity."""
    width, base, left, wide = 560, 260, 60, 440
    points = list(sweep.items())
    most = max(f["seconds"] for _, found in points for f in found.values())
    parts = [text(left - 8, base + 4, "0 s", "end"), text(left - 8, 34, f"{most:.0f} s", "end"),
             text(left + wide / 2, 16, "decode time over sparsity, actual variation")]
    at = [left + wide * i / max(1, len(points) - 1) for i in range(len(points))]
    for x, (sparsity, _) in zip(at, points):
        parts.append(text(x, base + 18, f"{sparsity} %"))
    policies = [p for p in points[0][1] if p in POLICIES]
    for i, policy in enumerate(policies):
        line = " ".join(f"{x:.1f},{base - 230 * found[policy]['seconds'] / most:.1f}" for x, (_, found) in zip(at, points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[policy]}" stroke-width="2"/>')
        parts.append(f'<rect x="{left + 100 * i}" y="{base + 34}" width="10" height="10" fill="{COLOURS[policy]}"/>')
        parts.append(text(left + 100 * i + 14, base + 44, POLICIES[policy], "start"))
    return svg(width, 320, parts)


def write(out, results, sweep, scale, sweep_scale):
    """What is known so far; long runs can be cut short."""
    report = f"Variations: {steps_at(scale)} of {STEPS} decode steps, times for all of them.\n\n{table(results)}"
    (out / "variations.svg").write_text(bars(results), encoding="ascii")
    if sweep:
        report += f"\nSweep: {steps_at(sweep_scale)} decode steps, times for all of them, s.\n\n{sweep_table(sweep)}"
        (out / "sparsity.svg").write_text(lines(sweep), encoding="ascii")
    (out / "results.md").write_text(report, encoding="ascii")
    (out / "results.json").write_text(
        json.dumps({"scale": scale, "variations": results, "sweep_scale": sweep_scale, "sweep": sweep}, indent=2),
        encoding="ascii")


def main():
    parser = argparse.ArgumentParser(description="The evaluation of Fang et al., IEEE CAL 2025, with synthetic traces")
    parser.add_argument("--kvplace", default="kvplace", help="the command (default: kvplace)")
    parser.add_argument("-o", "--out", default="fang2025-results", help="folder of the results")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 10,239 tokens that is decoded")
    parser.add_argument("--sweep-scale", type=float, help="the same for the sweep over sparsity (default: --scale)")
    parser.add_argument("--no-sa", action="store_true", help="leave the annealing out of the sweep, which is slow")
    parser.add_argument("--keep-traces", action="store_true", help="keep the last trace")
    options = parser.parse_args()
    if not all(0 < scale <= 1 for scale in (options.scale, options.sweep_scale or 1)):
        parser.error("scales are above 0 and at most 1")
    experiment = Experiment(options)
    experiment.out.mkdir(parents=True, exist_ok=True)
    sweep_scale = options.sweep_scale or options.scale

    results = {}
    sweep = {}
    for variation, preset in VARIATIONS.items():
        print(f"{variation} ...", file=sys.stderr)
        results[variation] = experiment.measure(preset, options.scale, POLICIES)
        write(experiment.out, results, sweep, options.scale, sweep_scale)
    swept = [p for p in POLICIES if p != "sa" or not options.no_sa]
    for sparsity in (0, 20, 40, 60, 80):
        print(f"sparsity {sparsity} % ...", file=sys.stderr)
        sweep[sparsity] = experiment.measure(VARIATIONS["actual"], sweep_scale, swept,
                                             f"budget.share={1 - sparsity / 100:g}")
        write(experiment.out, results, sweep, options.scale, sweep_scale)
    print((experiment.out / "results.md").read_text(encoding="ascii"))


if __name__ == "__main__":
    main()
