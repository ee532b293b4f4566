"""Small random instances in which everything that docs/formulation.md knows occurs, alone and together."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import served
from instance import Instance, Layer, Record

Pages = dict[int, int]  # appended to, and tokens written to each


@dataclass(frozen=True)
class Scale:
    """How large an instance may be: (layer, step) records times blocks of all layers times batch."""

    most_places: int


def records_of(rng: random.Random, layers: int, steps: int, first: int, page_of: list[Pages], partial: bool,
               sizes: tuple[int, int], experts: int, several: bool) -> tuple[Record, ...]:
    """Reads that stay in part from step to step; what exists may be read, newborn or not."""
    exists = [set(range(first)) for _ in range(layers)]
    kept: list[set[int]] = [set() for _ in range(layers)]
    stays, comes = rng.choice([(0.9, 0.1), (0.6, 0.3), (0.3, 0.4), (0.1, 0.6)])
    irregular = rng.random() < 0.1
    records = []
    for t in range(steps):
        for l in range(layers):
            appended = list(page_of[t])
            if irregular:
                known = sorted(b for b in exists[l] if b >= experts)
                appended = sorted({*rng.sample(known, min(len(known), rng.choice((0, 0, 1, 2)))),
                                   *(page_of[t] if rng.random() < 0.7 else [])})
            exists[l] |= set(appended)
            reads = {b for b in exists[l] if rng.random() < (stays if b in kept[l] else comes)}
            kept[l] = reads
            stored = {b: rng.choice((0, rng.randint(1, sizes[b < experts]))) if partial else 0 for b in sorted(reads)}
            written = tuple(page_of[t].get(b, 1) for b in appended) if several else ()
            records.append(Record(stored, tuple(appended), written))
    return tuple(records)


def pages_of(prompt_tokens: int, block_tokens: int, requests: int, experts: int, tokens: Sequence[tuple[int, int]]
             ) -> list[Pages]:
    """By decode step, in ascending order."""
    pages, context = [], prompt_tokens
    for verified, decoded in tokens:
        counts = Counter((context + j) // block_tokens for j in range(verified))
        pages.append({experts + page * requests + q: n for page, n in counts.items() for q in range(requests)})
        context += decoded
    return pages


def layer_of(rng: random.Random, block_tokens: int) -> Layer:
    """A layer that is like no other."""
    unit = rng.choice((1000, 500, 96, 4096, 97)) * block_tokens
    return Layer(unit * rng.choice((1, 1, 2, 3)), rng.choice((0, 4, 40)) * unit, rng.choice((0, 0, 7)) * 100,
                 rng.choice((0, 0, 3, 50)))


def generate_served(seed: int, scale: Scale = Scale(250)) -> Instance:
    """The served batch of a seed; layers may differ, and fixed traffic hang on who runs."""
    rng = random.Random(f"served {seed}")
    while True:
        layers, block_tokens, steps = rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2, 4)), rng.randint(3, 9)
        experts = rng.choice((0, 0, 0, 0, 1, 2))
        requests = served.requests_of(rng, steps, block_tokens)
        ids, appended = served.births_of(requests, steps, block_tokens, experts)
        blocks = experts + sum(map(len, ids))
        if 3 <= blocks <= 14 and layers * layers * steps * blocks <= 2 * scale.most_places:
            break
    page_bytes = rng.choice((4096, 1000, 720, 4099, 97, 12288)) * rng.choice((1, 1, 3))
    expert_bytes = rng.choice((page_bytes, 2 * page_bytes, page_bytes + 1)) if experts else 0
    partial = rng.random() < 0.15
    at_once = max(sum(len(own) for q, own in zip(requests, ids) if q.runs(t)) for t in range(steps))
    return Instance(
        own=tuple(layer_of(rng, block_tokens) for _ in range(layers)) if rng.random() < 0.4 else (), served=requests, ids=ids,
        layers=layers, steps=steps, block_tokens=block_tokens, prompt_tokens=max(q.prompt_tokens for q in requests),
        requests=len(requests), experts=experts, partial=partial,
        records=served.records_of(rng, layers, experts, block_tokens, requests, ids, appended, partial,
                                  (page_bytes, expert_bytes)),
        page_bytes=page_bytes, expert_bytes=expert_bytes, new_kv=rng.random() < 0.8, **machine_of(rng, page_bytes, True),
        **options_of(rng, layers, min(blocks, at_once + experts), 1, page_bytes))


def generate(seed: int, scale: Scale = Scale(250), unlike: bool = False) -> Instance:
    """The instance of a seed. `unlike`: layers may differ, fixed traffic grow, and steps be of several tokens."""
    rng, other = random.Random(seed), random.Random(f"unlike {seed}")
    several = unlike and other.random() < 0.5
    differ = unlike and (not several or other.random() < 0.6)
    while True:
        layers, block_tokens = rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2, 4))
        requests = rng.choice((1, 1, 1, 1, 2))
        experts = rng.choice((0, 0, 0, 0, 1, 2))
        batch = 1 if experts else rng.choice((1, 1, 2, 3))
        steps = rng.randint(3, 9)
        prompt_tokens = rng.randint(0, 4 * block_tokens)
        verified = other.choice((2, 3)) if several else 1
        tokens = [(verified, other.randint(1, verified)) for _ in range(steps)]
        page_of = pages_of(prompt_tokens, block_tokens, requests, experts, tokens)
        blocks = max(map(max, page_of)) + 1
        if 3 <= blocks <= 7 and layers * layers * steps * blocks * batch <= scale.most_places:
            break
    page_bytes = rng.choice((4096, 1000, 720, 4099, 97, 12288)) * rng.choice((1, 1, 3))
    expert_bytes = rng.choice((page_bytes, 2 * page_bytes, page_bytes + 1, 3 * page_bytes // 2)) if experts else 0
    partial = rng.random() < 0.15
    first = experts + -(-prompt_tokens // block_tokens) * requests
    records = records_of(rng, layers, steps, first, page_of, partial, (page_bytes, expert_bytes), experts, several)
    own = tuple(layer_of(other, block_tokens) for _ in range(layers)) if differ else ()
    return Instance(
        own=own, tokens=tuple(tokens) if several else (), layers=layers, steps=steps, block_tokens=block_tokens, prompt_tokens=prompt_tokens, requests=requests,
        experts=experts, partial=partial, records=records, page_bytes=page_bytes, expert_bytes=expert_bytes,
        new_kv=rng.random() < 0.8, **machine_of(rng, page_bytes, several),
        **options_of(rng, layers, blocks, batch, page_bytes))


def machine_of(rng: random.Random, page_bytes: int, several: bool) -> dict[str, Any]:
    """Links from a hundredth of near memory's speed to beyond it; bandwidths that divide nothing."""
    near = rng.choice((3350, 4900, 1111.111, 700.7)) * 10**9
    far = [near * rng.choice((0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.3)) * rng.uniform(0.8, 1.2) for _ in range(2)]
    read = far[0]
    write = read if rng.random() < 0.5 else read * rng.uniform(0.3, 2)
    bandwidth = tuple(int(b / 1000) * 1000 for b in (near, read, write, far[1]))
    block_time = page_bytes / min(bandwidth[1], bandwidth[3])
    floored = rng.random() < 0.2 and not several  # of so many tokens the floor is no exact number
    overhead = Fraction(int(rng.uniform(0, 2) * block_time * 1e12), 10**12) if rng.random() < 0.2 else Fraction(0)
    return {"bandwidth": bandwidth, "interference": Fraction(rng.choice((0, 0, 0, 1, 37, 90)), 100),
            "flops": max(1, int(rng.uniform(0.1, 3) * block_time * 1e9)) * 1000 if floored else 0,
            "peak_flops": 10**12 if floored else 0, "overhead": overhead}


def options_of(rng: random.Random, layers: int, blocks: int, batch: int, page_bytes: int) -> dict[str, Any]:
    """Capacities between nothing and nearly all, most of them no whole number of blocks."""
    places = rng.uniform(0, min(layers * blocks, 2 + layers * blocks * 0.6))
    capacity = int(batch * page_bytes * (int(places) if rng.random() < 0.4 else places)) + rng.choice((0, 0, 1, batch))
    mode = rng.choice(("inclusive", "exclusive"))
    weights = rng.choice((0, 0, 8 * page_bytes, 80 * page_bytes))
    return {"near_capacity": capacity, "mode": mode, "batch": batch,
            "barrier": "token" if rng.random() < 0.3 else "layer", "overlap": "none" if rng.random() < 0.2 else "full",
            "start": rng.choice(("recent", "empty", "free")),
            "mirrored_reads": "split" if mode == "inclusive" and rng.random() < 0.4 else "near",
            "weight_bytes": weights, "weights_near": Fraction(rng.choice((4, 4, 4, 2, 3, 0)), 4)}


def features(instance: Instance) -> list[str]:
    """What an instance has, for tables."""
    i = instance
    named = {
        "inclusive": not i.exclusive, "exclusive": i.exclusive, "barrier token": i.barrier == "token",
        "overlap none": i.overlap == "none", "interference": i.interference > 0 and i.overlap == "full",
        "split reads": i.mirrored_reads == "split", "start recent": i.start == "recent",
        "start empty": i.start == "empty", "start free": i.start == "free", "batch": i.batch > 1,
        "weights": i.weight_bytes > 0, "weights far": i.weight_bytes > 0 and i.weights_near < 1,
        "no new KV": not i.new_kv, "floor": i.floor > 0, "overhead": i.overhead > 0, "partial reads": i.partial,
        "experts": i.experts > 0, "several requests": i.requests > 1, "several layers": i.layers > 1,
        "capacity divides": i.capacity % i.page_bytes == 0, "unlike layers": bool(i.own),
        "growing fixed traffic": any(layer.selector_bytes for layer in i.own), "several tokens": bool(i.tokens),
        "served batch": bool(i.served), "prompts that arrive": any(q.first > 0 and q.prompt_tokens for q in i.served),
        "requests that end": any(q.end < i.steps for q in i.served)}
    return ["all", *(name for name, has in named.items() if has)]
