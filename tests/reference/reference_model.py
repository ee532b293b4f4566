"""The reference model's machine, setting and traces: loads, step time, and the trace files.

A block is the pair (layer, id). Sizes are bytes, bandwidths bytes per second, times seconds.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np


Block = tuple[int, int]
Loads = dict[str, float]

FAR_CHANNELS = ("far.link_read", "far.link_write", "far.mem")
CHANNELS = ("near.mem", *FAR_CHANNELS)


@dataclass(frozen=True)
class Machine:
    """Bandwidths [bytes/s], and the share of the second-largest channel time added to the largest."""

    near_bandwidth: float
    far_bandwidth: float
    link_read: float
    link_write: float
    interference: float = 0.0

    def bandwidth(self, channel: str) -> float:
        """Bandwidth of a channel [bytes/s]."""
        return {"near.mem": self.near_bandwidth, "far.mem": self.far_bandwidth,
                "far.link_read": self.link_read, "far.link_write": self.link_write}[channel]


@dataclass(frozen=True)
class Setting:
    """What is placed where and how time is counted; `capacity` [bytes] is shared by `batch` requests."""

    block_bytes: int
    capacity: float
    weight_bytes_per_step: float = 0.0
    mode: str = "inclusive"  # or exclusive
    barrier: str = "layer"  # or token
    overlap: str = "full"  # or none
    batch: int = 1
    start: str = "recent"  # or empty
    copies: str = "step"  # or background
    layer_bytes: tuple[int, ...] = ()  # of a block, by layer, where layers differ; block_bytes is then that of none
    layer_fixed: tuple[tuple[int, int], ...] = ()  # by layer (a, b): weights and such are a + b x context tokens
    layer_running: tuple[int, ...] = ()  # by layer: and so much for each request of a served batch that runs

    def __post_init__(self) -> None:
        for value, allowed in ((self.mode, ("inclusive", "exclusive")), (self.barrier, ("layer", "token")),
                               (self.overlap, ("full", "none")), (self.start, ("recent", "empty")),
                               (self.copies, ("step", "background"))):
            if value not in allowed:
                raise ValueError(f"{value!r} is none of {allowed}")

    def places(self, layers: int = 1) -> int:
        """Blocks of one request that fit near, in each of so many layers, the same number in all."""
        if self.layer_bytes and layers != len(self.layer_bytes):
            raise ValueError("where layers differ, only buffers of a layer have a number of places")
        row = sum(self.layer_bytes) if self.layer_bytes else layers * self.block_bytes
        return int(self.capacity // (row * self.batch))

    def size(self, layer: int) -> int:
        """Bytes of a block of a layer, of all requests of the batch."""
        return self.batch * (self.layer_bytes[layer] if self.layer_bytes else self.block_bytes)

    def fixed(self, layer: int, context: int, running: int = 1) -> float:
        """Bytes that a step reads from near whatever the placement."""
        if not self.layer_fixed:
            return self.weight_bytes_per_step
        always, per_token = self.layer_fixed[layer]
        return always + per_token * context + (self.layer_running[layer] * running if self.layer_running else 0)


def no_loads() -> Loads:
    """Zero bytes on every channel."""
    return dict.fromkeys(CHANNELS, 0)


def channel_times(loads: Loads, machine: Machine) -> dict[str, float]:
    """Seconds each channel needs for its bytes."""
    return {channel: loads[channel] / machine.bandwidth(channel) for channel in CHANNELS}


def step_time(loads: Loads, machine: Machine, overlap: str) -> float:
    """Seconds of one step that loads the channels with these bytes."""
    times = channel_times(loads, machine)
    if overlap == "none":
        return times["near.mem"] + max(times[channel] for channel in FAR_CHANNELS)
    largest, second = sorted(times.values(), reverse=True)[:2]
    return largest + machine.interference * second


def copied_bytes(loads: Loads, machine: Machine, overlap: str, queued: int) -> int:
    """The most whole bytes of background copies that move beside these loads without the link's making the step longer.

    overlap full: far + x <= B T, T = max((near + x) / B_near, demand times of all channels); none: x <= B T_near.
    """
    near, near_rate = Fraction(loads["near.mem"]), Fraction(machine.near_bandwidth)
    alone, demand = Fraction(0), dict.fromkeys(CHANNELS, Fraction(0))
    if overlap == "full":
        demand = {channel: Fraction(loads[channel]) for channel in CHANNELS}
        alone = max(demand[channel] / Fraction(machine.bandwidth(channel)) for channel in CHANNELS)

    def fits(channel: str, x: int) -> bool:
        return demand[channel] + x <= Fraction(machine.bandwidth(channel)) * max(alone, (near + x) / near_rate)

    # Nothing always fits, and what a channel has to spare is convex in x: below an x that does not fit, a prefix does.
    most = queued
    while failing := [channel for channel in ("far.link_read", "far.mem") if not fits(channel, most)]:
        low, high = 0, most
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(failing[0], middle) else (low, middle)
        most = low
    return most


def background_time(loads: Loads, machine: Machine, overlap: str, copied: int) -> float:
    """Seconds of a step in which so many bytes are copied beside its loads."""
    channels = ("near.mem", "far.link_read", "far.mem") if overlap == "full" else ("near.mem",)
    return step_time({c: loads[c] + (copied if c in channels else 0) for c in CHANNELS}, machine, overlap)


def add_promotion(loads: Loads, setting: Setting, layer: int, passive: bool) -> None:
    """Adds the bytes of one block copied from far to near; passive: its bytes were read from far anyway."""
    for channel in ("near.mem",) if passive else ("near.mem", "far.link_read", "far.mem"):
        loads[channel] += setting.size(layer)


def new_kv(trace: Trace, setting: Setting, t: int, block: Block) -> float:
    """Bytes that decode step t writes to a block it appends to: those of its tokens there."""
    first, (verified, _) = trace.context(t), trace.tokens_of(t)
    if trace.served:
        written = [ids[(prompt + t - start) // trace.block_tokens]
                   for (prompt, start, end), ids in zip(trace.served, trace.ids) if start <= t < end]
        return setting.size(block[0]) * (block[1] in written) / trace.block_tokens
    tokens = sum((first + i) // trace.block_tokens == block[1] for i in range(verified))
    return setting.size(block[0]) * tokens / trace.block_tokens


def add_new_kv(loads: Loads, setting: Setting, size: float, is_near: bool) -> None:
    """Adds so many bytes of new KV, in a block that is near or not."""
    if setting.mode == "inclusive" or is_near:
        loads["near.mem"] += size
    if setting.mode == "inclusive" or not is_near:
        loads["far.link_write"] += size
        loads["far.mem"] += size


@dataclass
class Trace:
    """steps[t][l] = (ids read, ascending; ids appended to) in layer l of decode step t."""

    layers: int
    prompt_tokens: int
    block_tokens: int
    steps: list[list[tuple[list[int], list[int]]]]
    tokens: list[tuple[int, int]] = field(default_factory=list)  # by decode step: verified, decoded; empty: one each
    served: list[tuple[int, int, int]] = field(default_factory=list)  # a served batch: prompt tokens, first step, end
    ids: list[list[int]] = field(default_factory=list)  # of each of its requests by page

    def running(self, t: int) -> int:
        """Requests of a served batch that decode a token in decode step t; else 1."""
        return sum(first <= t < end for _, first, end in self.served) if self.served else 1

    def ended(self, t: int) -> set[int]:
        """Ids that are gone with requests whose last decode step is t."""
        return {i for (_, _, end), ids in zip(self.served, self.ids) if end == t + 1 for i in ids}

    def tokens_of(self, t: int) -> tuple[int, int]:
        """Verified and decoded in decode step t."""
        if self.served:
            return self.running(t), self.running(t)
        return self.tokens[t] if self.tokens else (1, 1)

    def context(self, t: int) -> int:
        """Tokens of the text before decode step t; of a served batch of all texts that run."""
        if self.served:
            return sum(prompt + t - first for prompt, first, end in self.served if first <= t < end)
        return self.prompt_tokens + (sum(decoded for _, decoded in self.tokens[:t]) if self.tokens else t)

    @property
    def prompt_blocks(self) -> int:
        """Blocks of each layer that exist before the first decode step."""
        if self.served:
            return sum(-(-prompt // self.block_tokens) for prompt, first, _ in self.served if first == 0)
        return -(-self.prompt_tokens // self.block_tokens)


def open_bytes(path: str) -> bytes:
    """Contents of a plain, .gz or .zst file."""
    path = str(path)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    with (gzip.open(path) if path.endswith(".gz") else open(path, "rb")) as file:
        return file.read()


def make_trace(rows: Iterable[Iterable[Iterable[int]]], prompt_tokens: int, block_tokens: int,
               tokens: Sequence[tuple[int, int]] = ()) -> Trace:
    """A trace from the ids read, rows[t][l]. Decode step t writes the tokens that it verifies, from those decoded before
    on: one each, or tokens[t] = (verified, decoded)."""
    one_object: dict[int, int] = {}  # equal ids share one integer object: long traces must fit in memory
    steps = []
    first = prompt_tokens
    for t, layers in enumerate(rows):
        verified, decoded = tokens[t] if tokens else (1, 1)
        written = sorted({(first + i) // block_tokens for i in range(verified)})
        first += decoded
        step = []
        for ids in layers:
            reads = sorted({one_object.setdefault(i, i) for i in ids})
            if reads and not 0 <= reads[0] <= reads[-1] <= written[-1]:
                raise ValueError(f"decode step {t} reads a block that does not exist yet")
            step.append((reads, written))
        steps.append(step)
    if len({len(step) for step in steps}) != 1:
        raise ValueError("no steps, or steps of different numbers of layers")
    return Trace(len(steps[0]), prompt_tokens, block_tokens, steps, list(tokens))


def load_topk_npy(path: str, prompt_tokens: int, block_tokens: int) -> Trace:
    """A NumPy array [steps, layers, k] of ids read; negative ids are padding."""
    array = np.load(io.BytesIO(open_bytes(path)))
    rows = (([i for i in row.tolist() if i >= 0] for row in step) for step in array)
    return make_trace(rows, prompt_tokens, block_tokens)


def load_fang_csv(path: str, prompt_tokens: int, block_tokens: int) -> Trace:
    """CSV with the header n,l,read_kv: decode step, layer, JSON list of ids read."""
    text = io.StringIO(open_bytes(path).decode())
    csv.field_size_limit(sys.maxsize)
    lists = {(int(row["n"]), int(row["l"])): json.loads(row["read_kv"]) for row in csv.DictReader(text)}
    steps = sorted({n for n, _ in lists})
    layers = sorted({l for _, l in lists})
    if steps != list(range(len(steps))) or layers != list(range(len(layers))):
        raise ValueError("steps and layers must count from 0 without holes")
    return make_trace([[lists[n, l] for l in layers] for n in steps], prompt_tokens, block_tokens)


class OracleRecord(NamedTuple):
    """One request of libCacheSim's oracleGeneral format; next_access is -1 when there is none."""

    time: int
    object_id: int
    size: int
    next_access: int


def load_oracle_general(path: str) -> Iterator[OracleRecord]:
    """The records of a packed little-endian oracleGeneral file."""
    yield from map(OracleRecord._make, struct.iter_unpack("<IQIq", open_bytes(path)))


def start_blocks(trace: Trace, setting: Setting) -> list[Block]:
    """What is near at the first decode step, in ascending (id, layer)."""
    if setting.start == "empty":
        return []
    count = min(setting.places(trace.layers), trace.prompt_blocks)
    newest = range(trace.prompt_blocks - count, trace.prompt_blocks)
    return [(l, i) for i in newest for l in range(trace.layers)]
