"""Statistics of captured traces, measured with the command, as tables in Markdown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Row(NamedTuple):
    path: Path
    kind: str
    k: int
    info: dict[str, Any]
    lru: dict[int, float]  # by blocks per layer: misses as a share of reads
    belady: dict[int, float]


def _command() -> str:
    found = os.environ.get("KVPLACE_BIN") or shutil.which("kvplace")
    for preset in ("release", "dev"):
        built = ROOT / "build" / preset / "bin/kvplace"
        found = found or (str(built) if built.exists() else None)
    if not found:
        raise SystemExit("the command kvplace is not there: run scripts/build")
    return found


def _json(*arguments: object) -> dict[str, Any]:
    run = subprocess.run([_command(), *map(str, arguments), "--json"], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def _misses(trace: Path, blocks: int) -> dict[str, tuple[int, int]]:
    """Far reads and reads of LRU and Belady per layer that start with an empty buffer."""
    result = _json("compare", trace, "--hardware", "h100-sxm-pcie5", "--weight-bytes-per-step", 0, "--start", "empty",
                   "--near-blocks-per-layer", blocks, "--policy", "lru", "--policy", "belady")
    return {row["policy"]: (row["far_reads"], row["reads"]) for row in result["results"]}


def measure(path: Path, kind: str, k: int, warm_up: int) -> Row:
    """Statistics of one trace. Misses are counted from decode step ``warm_up`` on.

    Those of the first steps are taken from a trace of them alone; LRU cannot tell the two apart, and Belady's choices
    differ by at most a buffer's worth of reads.
    """
    import kvplace

    sizes = {f * k for f in (1, 2, 4)}
    lru, belady = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        head = None
        if warm_up:
            head = Path(folder) / "head.kvt"
            kvplace.Trace(path).slice(head, steps=(0, warm_up))
        for blocks in sorted(sizes):
            whole = _misses(path, blocks)
            first = _misses(head, blocks) if head else {"lru": (0, 0), "belady": (0, 0)}
            for policy, shares in (("lru", lru), ("belady", belady)):
                shares[blocks] = (whole[policy][0] - first[policy][0]) / (whole[policy][1] - first[policy][1])
    return Row(path, kind, k, _json("info", path), lru, belady)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _statistics(rows: list[Row]) -> str:
    header = ["trace", "text", "steps", "read", "overlap (by layer)", "LRU 1 k", "2 k", "4 k", "Belady 1 k", "2 k",
              "4 k", "perplexity", "repetition", "MB"]
    table = []
    for row in rows:
        info, by_layer = row.info, row.info["overlap_by_layer"]
        quality = info["measurements"]
        misses = [f"{100 * shares[f * row.k]:.1f} %" for shares in (row.lru, row.belady) for f in (1, 2, 4)]
        table.append([
            f"`{row.path.name}`", row.kind, f"{info['steps']:,}", f"{row.k} x {info['block_tokens']}",
            f"{info['overlap']:.3f} ({min(by_layer):.2f} to {max(by_layer):.2f})", *misses,
            f"{quality['perplexity']:.1f}", f"{100 * quality['repetition_rate']:.1f} %",
            f"{row.path.stat().st_size / 1e6:.1f}",
        ])
    return _table(header, table)


def page(rows: list[Row]) -> str:
    """docs/bundled_traces.md."""
    return f"""# Bundled traces with rankings

Written by `scripts/capture_bundled`: SmolLM2-135M (30 layers, 3 KV heads) reading four texts, prompt 4,096 tokens,
rankings 4 k deep.

{_statistics(rows)}

*read*: blocks read in each layer of each decode step x tokens of a block. *Overlap*: share of a step's reads that were
read in the step before; the mean, and the layers with the least and the most. *LRU*, *Belady*: misses as a share of
reads with a buffer of 1, 2, 4 k blocks per layer that starts empty. *Perplexity* over the decode steps. *Repetition*:
decode steps whose last 8 tokens had occurred before; prose stays near 0, and a model caught in a loop comes near 100 %.

The short traces weigh the filling of the buffers more than a long run does; compare them with each other rather than
with the figures of longer ones. `scripts/capture_bundled --long` makes 4,096 decode steps of each text. Where the texts
come from is in [data/README.md](../data/README.md); how a capture works in [capture.md](capture.md).
"""


# The first capture of Holmes, by other code: mean overlap, that of the layers with the least and the most, and misses by
# blocks per layer; decode steps 512 to 4,095.
FIRST_CAPTURE = {
    "smollm2-holmes-token-k512.kvt": {
        "overlap": (0.72, 0.51, 0.84),
        "lru": {512: 0.2825, 1024: 0.1086, 2048: 0.0288},
        "belady": {512: 0.1777, 1024: 0.0529, 2048: 0.0119},
    },
    "smollm2-holmes-page16-k64.kvt": {"overlap": (0.89, 0.77, 0.96), "lru": {}, "belady": {}},
}
OVERLAP_TOLERANCE = 0.01
MISS_TOLERANCE = 0.02  # of the misses


def beyond_first_capture(rows: list[Row]) -> list[str]:
    """What differs from the first capture by more than the tolerance, in words."""
    found = []
    for row in rows:
        first: dict[str, Any] = FIRST_CAPTURE.get(row.path.name, {})
        by_layer = row.info["overlap_by_layer"]
        overlaps = (row.info["overlap"], min(by_layer), max(by_layer))
        for what, now, then in zip(("mean", "least", "greatest"), overlaps, first.get("overlap", ())):
            if abs(round(now, 2) - then) > OVERLAP_TOLERANCE + 1e-9:
                found.append(f"{row.path.name}: {what} overlap {now:.3f}, was {then}")
        for policy, shares in (("lru", row.lru), ("belady", row.belady)):
            for blocks, then in first.get(policy, {}).items():
                if abs(shares[blocks] / then - 1) > MISS_TOLERANCE:
                    found.append(f"{row.path.name}: {policy} misses {shares[blocks]:.4f} at {blocks}, was {then}")
    return found


def long_page(rows: list[Row]) -> str:
    """Statistics of long captures, with the layers' overlap and misses to three digits."""
    lines = [_statistics(rows), ""]
    for row in rows:
        misses = ", ".join(f"{blocks}: LRU {row.lru[blocks]:.4f} Belady {row.belady[blocks]:.4f}" for blocks in row.lru)
        lines.append(f"{row.path.name}: overlap {row.info['overlap']:.4f}; misses {misses}")
    return "\n".join(lines)
