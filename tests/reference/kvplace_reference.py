"""A slow and obvious model of KV-cache placement, written from the mathematics alone.

The tests compare the C++ simulator with it: policies, simulation, bounds and a command line. Sizes are
bytes, bandwidths bytes per second, times seconds. Only the near tier and one far tier are modelled.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from reference_model import (CHANNELS, FAR_CHANNELS, Block, Loads, Machine, OracleRecord, Setting, Trace,  # noqa: F401
                             add_new_kv, add_promotion, background_time, channel_times, copied_bytes, load_fang_csv,
                             load_oracle_general, load_topk_npy, make_trace, new_kv, no_loads, start_blocks, step_time)

Move = tuple[Block, bool]  # (block, True = enters near, False = leaves near)


@dataclass
class Step:
    """What a policy sees of step (t, layer), after its reads were served."""

    t: int
    layer: int
    index: int  # t * layers + layer
    hits: list[Block]  # read and resident near, in flight or complete, ascending
    misses: list[Block]  # read from far, ascending
    appended_absent: list[Block]  # appended to in this step, not resident near
    newborn: set[Block]  # of those, the ones that did not exist before
    loads: Loads  # bytes of weights, reads and new KV; exclusive: of newborn blocks as if near
    exists: set[Block]


class ListPolicy:
    """An ordered list of near blocks, first out at the front: one per layer, or one for all layers."""

    per_layer = False
    refresh_hits = False
    admit_appended = True

    def __init__(self, trace: Trace, setting: Setting, machine: Machine) -> None:
        self.places = setting.places(trace.layers if self.per_layer else 1)
        self.lists: dict[int, OrderedDict[Block, None]] = {}

    def list_of(self, layer: int) -> OrderedDict[Block, None]:
        """The list that blocks of a layer are in."""
        return self.lists.setdefault(layer if self.per_layer else 0, OrderedDict())

    def begin(self, blocks: list[Block]) -> None:
        """Takes over what is near at the start, in the order it counts as entered."""
        for block in blocks:
            self.list_of(block[0])[block] = None

    def forget(self, blocks: list[Block]) -> None:
        """These were near, and are gone with their requests."""
        for block in blocks:
            del self.list_of(block[0])[block]

    def act(self, step: Step) -> list[Move]:
        """The moves of this step in order."""
        order = self.list_of(step.layer)
        if self.refresh_hits:
            for block in step.hits:
                order.move_to_end(block)
        moves: list[Move] = []
        entering = step.misses + (step.appended_absent if self.admit_appended else [])
        for block in sorted(entering) if self.places else []:
            if len(order) == self.places:
                victim, _ = order.popitem(last=False)
                moves.append((victim, False))
            order[block] = None
            moves.append((block, True))
        return moves


class LruGlobal(ListPolicy):
    """Least recently used leaves, one list over all layers."""

    refresh_hits = True


class Lru(LruGlobal):
    """Least recently used leaves, a hot buffer per layer."""

    per_layer = True


class LayerPrefetch(Lru):
    """LRU, and up to 4 blocks of the next layer that have the ids just missed, then hit, enter ahead."""

    def act(self, step: Step) -> list[Move]:
        """The moves of this step in order."""
        moves = super().act(step)
        order = self.list_of(step.layer + 1)
        ahead = [(step.layer + 1, block[1]) for block in step.misses + step.hits]
        for block in [b for b in ahead if b in step.exists and b not in order][:4 if self.places else 0]:
            if len(order) == self.places:
                victim, _ = order.popitem(last=False)
                moves.append((victim, False))
            order[block] = None
            moves.append((block, True))
        return moves


class Fifo(ListPolicy):
    """Longest near leaves, a hot buffer per layer."""

    per_layer = True


class Reactive(ListPolicy):
    """Every block read from far enters, the one longest near of all layers leaves."""

    admit_appended = False


class Static:
    """What is near stays near; newborn blocks stay near while there is room."""

    def __init__(self, trace: Trace, setting: Setting, machine: Machine) -> None:
        self.room = setting.places()

    def begin(self, blocks: list[Block]) -> None:
        """Counts what is near at the start."""
        self.room -= len(blocks)

    def forget(self, blocks: list[Block]) -> None:
        """Their room is free."""
        self.room += len(blocks)

    def act(self, step: Step) -> list[Move]:
        """The moves of this step in order."""
        born = sorted(step.newborn)[:self.room]
        self.room -= len(born)
        return [(block, True) for block in born]


class Shelf:
    """Near blocks grouped by the step of their next read; of a group the one read or entered last leaves first."""

    def __init__(self) -> None:
        self.size = 0
        self.groups: dict[int, list[Block]] = {}
        self.uses: list[int] = []  # heap of -use of all groups, and of some that are gone

    def add(self, block: Block, use: int) -> None:
        """Puts in a block that is next read in step `use`."""
        if use not in self.groups:
            self.groups[use] = []
            heapq.heappush(self.uses, -use)
        self.groups[use].append(block)
        self.size += 1

    def take_due(self, use: int) -> set[Block]:
        """Takes out all blocks whose next read is in this step."""
        group = self.groups.pop(use, [])
        self.size -= len(group)
        return set(group)

    def remove(self, block: Block) -> None:
        """Takes out one block."""
        use = next(use for use, group in self.groups.items() if block in group)
        self.groups[use].remove(block)
        if not self.groups[use]:
            del self.groups[use]
        self.size -= 1

    def farthest_use(self) -> int:
        """The latest next read of all blocks here."""
        while -self.uses[0] not in self.groups:
            heapq.heappop(self.uses)
        return -self.uses[0]

    def take_farthest(self) -> Block:
        """Takes out a block whose next read is the latest."""
        use = self.farthest_use()
        block = self.groups[use].pop()
        if not self.groups[use]:
            del self.groups[use]
        self.size -= 1
        return block


class BeladyGlobal:
    """All reads known: the resident read again last leaves, unless the block to enter is read no sooner."""

    per_layer = False
    balanced = False

    def __init__(self, trace: Trace, setting: Setting, machine: Machine) -> None:
        self.setting, self.machine, self.layers = setting, machine, trace.layers
        self.places = setting.places(trace.layers if self.per_layer else 1)
        self.shelves: dict[int, Shelf] = {}
        self.never = len(trace.steps) * trace.layers
        self.read_at: dict[Block, list[int]] = {}
        for t, layers in enumerate(trace.steps):
            for l, (reads, _) in enumerate(layers):
                for i in reads:
                    self.read_at.setdefault((l, i), []).append(t)

    def next_use(self, block: Block, t: int) -> int:
        """Index of the first step after decode step t that reads the block."""
        at = self.read_at.get(block, [])
        k = bisect_right(at, t)
        return at[k] * self.layers + block[0] if k < len(at) else self.never

    def shelf_of(self, layer: int) -> Shelf:
        """Where the near blocks of a layer are kept."""
        return self.shelves.setdefault(layer if self.per_layer else 0, Shelf())

    def begin(self, blocks: list[Block]) -> None:
        """Takes over what is near at the start."""
        for block in blocks:
            self.shelf_of(block[0]).add(block, self.next_use(block, -1))

    def forget(self, blocks: list[Block]) -> None:
        """These were near, and are gone with their requests."""
        for block in blocks:
            self.shelf_of(block[0]).remove(block)

    def act(self, step: Step) -> list[Move]:
        """The moves of this step in order."""
        shelf = self.shelf_of(step.layer)
        if shelf.take_due(step.index) != set(step.hits):
            raise AssertionError("the blocks due are not those that were hit")
        for block in step.hits:
            shelf.add(block, self.next_use(block, step.t))
        loads = dict(step.loads)
        moves: list[Move] = []
        passive = set(step.misses)
        for use, block in sorted((self.next_use(b, step.t), b) for b in step.misses + step.appended_absent):
            full = shelf.size == self.places
            if use == self.never or self.places == 0 or (full and shelf.farthest_use() <= use):
                continue
            if block not in step.newborn:
                trial = dict(loads)
                add_promotion(trial, self.setting, step.layer, block in passive)
                if self.balanced and block in passive and not self.near_waits_for_far(trial):
                    continue
                loads = trial
            if full:
                moves.append((shelf.take_farthest(), False))
            shelf.add(block, use)
            moves.append((block, True))
        return moves

    def near_waits_for_far(self, loads: Loads) -> bool:
        """Whether near needs no longer than the slowest far channel."""
        times = channel_times(loads, self.machine)
        return times["near.mem"] <= max(times[channel] for channel in FAR_CHANNELS)


class Belady(BeladyGlobal):
    """The same in each layer on its own."""

    per_layer = True


class BeladyBalanced(BeladyGlobal):
    """Over all layers, but blocks read from far enter only while near is not the slower side."""

    balanced = True


POLICIES: dict[str, Callable[[Trace, Setting, Machine], object]] = {
    "lru": Lru, "lru-global": LruGlobal, "layer-prefetch": LayerPrefetch, "fifo": Fifo, "reactive": Reactive, "static": Static,
    "belady": Belady, "belady-global": BeladyGlobal, "belady-balanced": BeladyBalanced,
}


def end_group(loads: Loads, flying: dict[Block, int], setting: Setting, machine: Machine) -> float:
    """Seconds of the steps between two barriers. Copies under way move beside their loads, and are added to them."""
    copied = copied_bytes(loads, machine, setting.overlap, sum(flying.values()))
    seconds = background_time(loads, machine, setting.overlap, copied)
    for channel in ("near.mem", "far.link_read", "far.mem"):
        loads[channel] += copied
    for b in list(flying):
        moved = min(copied, flying[b])
        copied -= moved
        flying[b] -= moved
        if not flying[b]:
            del flying[b]
    return seconds


def simulate(trace: Trace, setting: Setting, machine: Machine, policy: str, warmup_steps: int = 0) -> dict:
    """Counts and seconds of a policy on a trace, those of the first `warmup_steps` decode steps left out.

    Blocks whose copy is under way count as resident for policies, but are read from far. Counts are of one request, `channel_bytes` of the whole batch; `far_reads_by_step[t][l]` covers the whole trace.
    """
    actor = POLICIES[policy](trace, setting, machine)
    actor.begin(start_blocks(trace, setting))
    near = set(start_blocks(trace, setting))  # those in flight included
    flying: dict[Block, int] = {}  # bytes of all requests still to copy, in order of issue
    exists = {(l, i) for l in range(trace.layers) for i in range(trace.prompt_blocks)}
    count = dict.fromkeys(("reads", "near_reads", "far_reads", "promotions", "demotions", "evictions"), 0)
    far_by_layer = [0] * trace.layers
    far_by_step: list[list[int]] = []
    channel_bytes, total_s, peak = no_loads(), 0.0, len(near)
    token_times: list[tuple[float, int]] = []  # of each decode step, and tokens decoded in it
    occupied = sum(setting.size(layer) for layer, _ in near)

    for t, layers in enumerate(trace.steps):
        counted, context, ended_ids = t >= warmup_steps, trace.context(t), trace.ended(t)
        token_loads, token_s = no_loads(), 0.0
        far_by_step.append([])
        for l, (reads, appended) in enumerate(layers):
            hits = [(l, i) for i in reads if (l, i) in near]
            misses = [(l, i) for i in reads if (l, i) not in near and i not in appended]
            written = [(l, i) for i in appended]
            far_reads = len(misses) + sum(b in flying and b not in written for b in hits)
            near_reads = len(reads) - far_reads
            newborn = {b for b in written if b not in exists}
            exists |= newborn

            served = no_loads()
            served["near.mem"] = setting.fixed(l, context, trace.running(t)) + setting.size(l) * near_reads
            served["far.link_read"] = served["far.mem"] = setting.size(l) * far_reads
            seen = dict(served)
            fresh = {b: new_kv(trace, setting, t, b) for b in written}
            for b in written:
                add_new_kv(seen, setting, fresh[b], b in newborn or b in near and b not in flying)
            was_whole = {b: b in near and b not in flying for b in written}
            ended = {(l, i) for i in ended_ids}  # gone once the reads are done: for nothing, and policies see them no more
            actor.forget(sorted(ended & near))
            occupied -= len(ended & near) * setting.size(l)
            near -= ended
            for b in ended:
                flying.pop(b, None)
            hits, misses = [b for b in hits if b not in ended], [b for b in misses if b not in ended]
            absent = [b for b in written if b not in near | ended]
            moves = actor.act(Step(t, l, t * trace.layers + l, hits, misses, absent, newborn - ended, seen, exists))

            was_near = {b: b in near for b in [m[0] for m in moves] + written}
            for b, enters in moves:
                if enters == (b in near):
                    raise AssertionError(f"{b} moved to where it is")
                (near.add if enters else near.remove)(b)
                occupied += setting.size(b[0]) if enters else -setting.size(b[0])
            came = [b for b, before in was_near.items() if b in near and not before]
            left = [b for b, before in was_near.items() if before and b not in near]
            if occupied > setting.capacity:
                raise AssertionError("near is over its capacity")
            peak = max(peak, len(near))

            loads = served
            for b in written:
                add_new_kv(loads, setting, fresh[b], b in near if b in newborn else was_whole[b])
            promoted = [b for b in came if b not in newborn]
            demoted = [b for b in left if b not in flying] if setting.mode == "exclusive" else []
            for b in left:
                flying.pop(b, None)
            for b in [b for b in hits if b in flying and b not in written]:
                token_loads["near.mem"] += flying.pop(b)  # passive: it was read from far as a whole
            for b in promoted:
                if setting.copies == "background" and b not in misses:
                    flying[b] = setting.size(b[0])
                else:
                    add_promotion(loads, setting, b[0], passive=b in misses)
            for channel in ("near.mem", "far.link_write", "far.mem"):
                loads[channel] += sum(setting.size(layer) for layer, _ in demoted)
            for channel in CHANNELS:
                token_loads[channel] += loads[channel]
            if setting.barrier == "layer" or l == trace.layers - 1:
                token_s += end_group(token_loads, flying, setting, machine)
                for channel in CHANNELS if counted else ():
                    channel_bytes[channel] += token_loads[channel]
                token_loads = no_loads()

            far_by_step[t].append(far_reads)
            if counted:
                far_by_layer[l] += far_reads
                for name, n in (("reads", len(reads)), ("near_reads", near_reads), ("far_reads", far_reads),
                                ("promotions", len(promoted)), ("demotions", len(demoted)), ("evictions", len(left))):
                    count[name] += n
        total_s += token_s if counted else 0.0
        token_times.append((token_s, trace.tokens_of(t)[1]))

    tokens = sum(trace.tokens_of(t)[1] for t in range(warmup_steps, len(trace.steps))) * setting.batch
    return {"policy": policy, **count, "total_s": total_s, "tokens_per_s": tokens / total_s if total_s else 0.0,
            "peak_near_blocks": peak, "far_reads_by_layer": far_by_layer, "channel_bytes": channel_bytes,
            "far_reads_by_step": far_by_step, "token_times": token_times}


def within(token_times: list[tuple[float, int]], percent: int) -> float:
    """The least seconds within which so many of all tokens are decoded, each taking as long as its decode step."""
    each = sorted(seconds for seconds, tokens in token_times for _ in range(tokens))
    return each[-(-percent * len(each) // 100) - 1]


def minimum(function: Callable[[float], float], upper: float) -> float:
    """Least value of a convex function on [0, upper], by ternary search."""
    low, high = 0.0, float(upper)
    best = min(function(low), function(high))
    for _ in range(70):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        at_a, at_b = function(a), function(b)
        best = min(best, at_a, at_b)
        low, high = (low, b) if at_a <= at_b else (a, high)
    return best


@lru_cache(maxsize=None)
def bound_time(weights: float, old: float, fresh: float, new: float, machine: Machine, overlap: str,
               mode: str, all_near: bool) -> float:
    """Least seconds to read `old` bytes from either side and `fresh` bytes from near, and write `new` bytes.

    Inclusive, the new KV is written to both sides; exclusive, to either, in any split.
    """
    def seconds(far_read: float, far_new: float) -> float:
        near_new = new if mode == "inclusive" else new - far_new
        return step_time({"near.mem": weights + fresh + old - far_read + near_new, "far.link_read": far_read,
                          "far.link_write": far_new, "far.mem": far_read + far_new}, machine, overlap)

    if all_near:
        return seconds(0.0, new if mode == "inclusive" else 0.0)
    if mode == "inclusive":
        return minimum(lambda x: seconds(x, new), old)
    return minimum(lambda y: minimum(lambda x: seconds(x, y), old), new)


def bound_s(trace: Trace, setting: Setting, machine: Machine, all_near: bool) -> float:
    """Sum of bound_time over all steps, or over all decode steps with the barrier `token`."""
    total = 0.0
    for t, layers in enumerate(trace.steps):
        parts = []
        for l, (reads, appended) in enumerate(layers):
            fresh, size = len(set(reads) & set(appended)), setting.size(l)
            written = sum(new_kv(trace, setting, t, (l, i)) for i in appended)
            parts.append((setting.fixed(l, trace.context(t), trace.running(t)), (len(reads) - fresh) * size, fresh * size, written))
        if setting.barrier == "token":
            parts = [tuple(map(sum, zip(*parts)))]
        for weights, old, fresh, new in parts:
            total += bound_time(weights, old, fresh, new, machine, setting.overlap, setting.mode, all_near)
    return total


def perfect_split_s(trace: Trace, setting: Setting, machine: Machine) -> float:
    """Lower bound [s]: every step splits its reads in the best way, capacity and migration ignored."""
    return bound_s(trace, setting, machine, all_near=False)


def all_near_s(trace: Trace, setting: Setting, machine: Machine) -> float:
    """Seconds if every block were near in every step; with a fast far side, other placements may take less."""
    return bound_s(trace, setting, machine, all_near=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs policies on a trace file and prints what they did."""
    parser = argparse.ArgumentParser(description="Slow reference results for KV placement policies.")
    parser.add_argument("trace")
    parser.add_argument("--format", choices=("topk-npy", "fang-csv"), required=True)
    for name in ("--prompt-tokens", "--block-tokens", "--block-bytes", "--near-blocks-per-layer"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--policy", nargs="+", action="extend", choices=tuple(POLICIES), required=True)
    for name in ("--near-bw", "--far-bw", "--link-read", "--link-write"):
        parser.add_argument(name, type=float, required=True, help="bytes/s")
    for name in ("--interference", "--weight-bytes-per-step"):
        parser.add_argument(name, type=float, default=0.0)
    for name, choices in (("--mode", ("inclusive", "exclusive")), ("--start", ("recent", "empty")),
                          ("--barrier", ("layer", "token")), ("--overlap", ("full", "none")),
                          ("--copies", ("step", "background"))):
        parser.add_argument(name, choices=choices, default=choices[0])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--warmup-steps", type=int, default=0, help="count from this decode step on")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args(arguments)

    load = {"topk-npy": load_topk_npy, "fang-csv": load_fang_csv}[o.format]
    trace = load(o.trace, o.prompt_tokens, o.block_tokens)
    machine = Machine(o.near_bw, o.far_bw, o.link_read, o.link_write, o.interference)
    setting = Setting(o.block_bytes, o.near_blocks_per_layer * trace.layers * o.block_bytes * o.batch,
                      o.weight_bytes_per_step, o.mode, o.barrier, o.overlap, o.batch, o.start, o.copies)
    results = []
    for policy in o.policy:
        result = simulate(trace, setting, machine, policy, o.warmup_steps)
        result["miss_ratio"] = result["far_reads"] / result["reads"] if result["reads"] else 0.0
        results.append({k: v for k, v in result.items() if not k.endswith("_by_step") and k != "token_times"})
        if not o.json:
            print("{policy:16} reads {reads}  far {far_reads}  miss {miss_ratio:.4f}  promotions {promotions}  "
                  "evictions {evictions}  {total_s:.9g} s".format(**result), flush=True)
    if o.json:
        bounds = {"perfect_split_s": perfect_split_s(trace, setting, machine),
                  "all_near_s": all_near_s(trace, setting, machine)}
        print(json.dumps({"instance": {k: v for k, v in vars(o).items() if k not in ("json", "policy")},
                          "bounds": bounds, "results": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
