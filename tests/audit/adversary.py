"""Certificates that nobody would make: prices at random and at every limit of docs/certificate.md, and forged heads."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import files
from instance import FAR, LINK_READ, NEAR, Instance

MOST = 2**64 - 1

#: Keys of the head that say what prices are counted in, and nothing about the instance; `claim` says which schedules.
FREE_KEYS = {"ticks_per_second", "unit_bytes", "start_price", "made_by", "claim"}

CHOICES = {"mode": ("inclusive", "exclusive"), "barrier": ("layer", "token"), "overlap": ("full", "none"),
           "start": ("recent", "empty", "free"), "mirrored_reads": ("near", "split"), "claim": ("step", "any")}


@dataclass(frozen=True)
class Forgery:
    """A certificate, what was done to it, and whether its head still speaks of the instance."""

    what: str
    head: files.Head
    channel: list[list[int]]
    rows: list[int]
    version: int
    of_instance: bool
    text: str = ""  # in place of the head's own

    def file(self) -> bytes:
        """As a file."""
        return files.certificate(self.text or files.text_of(self.head), self.channel, self.rows, self.version)


def head_errors(i: Instance, head: files.Head, version: int) -> list[str]:
    """What a certificate's head says of an instance and should not: docs/certificate.md, "Numbers"."""
    piece = i.piece  # Whole blocks take whole pieces of a capacity.
    expected = {
        "mode": i.mode, "barrier": i.barrier, "overlap": i.overlap, "start": i.start,
        "mirrored_reads": i.mirrored_reads, "layers": i.layers, "steps": i.steps,
        "blocks_per_layer": i.blocks_per_layer, "batch": i.batch, "expert_block_bytes": i.expert_bytes,
        "bandwidth_bytes_per_second": list(i.bandwidth), "interference_2_20": math.floor(i.interference * 2**20),
        "floor_units": math.floor(i.floor * 2**60), "overhead_units": math.floor(i.overhead * 2**60)}
    if version == 2:
        expected |= {"kv_block_bytes": i.page(0), "new_kv_bytes": i.new_of_token(0),
                     "weight_bytes": [a for a, _ in i.fixed_parts(0)]}
    else:
        layers = range(i.layers)
        expected |= {"kv_block_bytes": one_for_all(i.page(layer) for layer in layers),
                     "new_kv_bytes": one_for_all(i.new_of_token(layer) for layer in layers),
                     "fixed_bytes": fixed_bytes(i)}
    capacity = i.capacity if version == 2 else i.near_capacity
    wrong = [f"{key} = {head[key]}, not {value}" for key, value in expected.items() if head[key] != value]
    if head["capacity_bytes"] not in (capacity, capacity // piece * piece):
        wrong.append(f"capacity_bytes = {head['capacity_bytes']}, not {capacity}")
    return wrong


def fixed_bytes(i: Instance) -> list[Any]:
    """By layer; of a served batch in which they hang on how many requests run, for each number of them."""
    by_running = [[i.fixed_parts(layer, n + 1) for layer in range(i.layers)] for n in range(i.most_running)]
    if any(parts != by_running[0] for parts in by_running):
        return [of_layer for parts in by_running for of_layer in parts]
    return one_for_all(by_running[0])


def one_for_all(by_layer: Iterable[Any]) -> list[Any]:
    """One number that stands for all layers, or one for each."""
    numbers = list(by_layer)
    return numbers[:1] if all(number == numbers[0] for number in numbers) else numbers


def version_2(i: Instance, head: files.Head) -> files.Head:
    """The head of a certificate of claim `step` as version 2 has it."""
    old = {key: value for key, value in head.items() if key not in ("claim", "fixed_bytes")}
    return old | {"kv_block_bytes": i.page(0), "new_kv_bytes": i.new_of_token(0), "capacity_bytes": i.capacity,
                  "weight_bytes": [a for a, _ in i.fixed_parts(0)]}


def divisors(instance: Instance) -> list[int]:
    """All unit_bytes that an instance allows."""
    i = instance
    if i.partial:
        return [1]
    common = math.gcd(i.piece, *(i.new_of_token(layer) if i.exclusive else 0 for layer in range(i.layers)))
    return [u for u in range(1, common + 1) if common % u == 0]


def claimed(head: files.Head, prices: list[int]) -> int:
    """Q of a group."""
    rates: list[int] = head["bandwidth_bytes_per_second"]
    m = [a * rate for a, rate in zip(prices, rates)]
    if head["overlap"] == "none":
        return max(m[NEAR], sum(m[1:]))
    interference: int = head["interference_2_20"]
    return max(*m, -(-(sum(m) << 20) // ((1 << 20) + interference)))


#: Prices of a group: none, of one channel, a mixture, what takes all of its time; and a tick more, and anything at all.
LEGAL, ILLEGAL = ("none", "one", "mixture", "split", "limit", "limit"), ("beyond", "wild")


def group_prices(rng: random.Random, head: files.Head, whole: int, kind: str) -> list[int]:
    """Prices of a group, of this kind."""
    rates = head["bandwidth_bytes_per_second"]
    shares = [0.0] * 4
    if kind == "none":
        return [0] * 4
    if kind == "wild":
        return [rng.choice((0, 1, MOST, rng.randrange(2**rng.randint(1, 64)))) for _ in range(4)]
    if kind == "one":
        shares[rng.randrange(4)] = rng.choice((1.0, rng.random()))
    elif kind == "split":
        far = rng.choice((LINK_READ, FAR))
        shares[NEAR], shares[far] = rates[NEAR] / (rates[NEAR] + rates[far]), rates[far] / (rates[NEAR] + rates[far])
    else:
        shares = [rng.choice((0.0, rng.random())) for _ in range(4)]
        total = sum(shares) or 1.0
        shares = [share / total for share in shares]
    prices = [min(MOST, int(whole * share) // rate) for share, rate in zip(shares, rates)]
    while claimed(head, prices) > whole:
        prices = [price - (price >> 40) - (price > 0) for price in prices]
    if kind in ("limit", "beyond"):
        for c in rng.sample(range(4), 4):  # As much more of each as the group's time has, to the last tick.
            low, high = prices[c], min(MOST, whole // rates[c] + 1)
            while low < high:
                middle = (low + high + 1) // 2
                fits = claimed(head, [*prices[:c], middle, *prices[c + 1:]]) <= whole
                low, high = (middle, high) if fits else (low, middle - 1)
            prices[c] = low
        if kind == "beyond":
            prices[rng.randrange(4)] += 1
    return [min(MOST, price) for price in prices]


def row_prices(rng: random.Random, rows: int, usual: int, most: int) -> list[int]:
    """Prices of near capacity: in no, some or all steps, about those of channels; or nearly too large to count."""
    if rng.random() < 0.1:
        return [rng.choice((0, 0, most, rng.randrange(most + 1))) for _ in range(rows)]
    chance, scale = rng.choice((0.0, 0.2, 1.0)), (usual >> rng.randint(0, 6)) + 1
    return [rng.randrange(scale) if rng.random() < chance else 0 for _ in range(rows)]


def random_prices(rng: random.Random, instance: Instance, version: int, head: files.Head,
                  found: list[list[int]], found_rows: list[int]) -> Iterator[Forgery]:
    """Certificates of the instance with prices of other origin."""
    groups, rows = instance.num_groups, len(found_rows)
    yield Forgery("prices as found", head, found, found_rows, version, True)
    if version > 2 and head["claim"] == "step" and not instance.own:  # whose layers version 2 cannot tell apart
        yield Forgery("as version 2", version_2(instance, head), found, found_rows, 2, True)
    for scale in ((0, 1), (1, 2), (0, 1, 2)):
        forged = [[a * rng.choice(scale) // 2 for a in column] for column in found]
        forged_rows = [mu * rng.choice((0, 1, 1, 2)) for mu in found_rows]
        yield Forgery("prices scaled", head, forged, forged_rows, version, True)
    order = rng.sample(range(groups), groups)
    yield Forgery("groups shuffled", head, [[column[g] for g in order] for column in found],
                  rng.sample(found_rows, rows), version, True)
    for _ in range(4):
        unit = rng.choice(divisors(instance))
        units = instance.largest // unit
        slowest = min(head["bandwidth_bytes_per_second"])
        # The most ticks with which the costs of a block do not overflow, or so.
        edge = 2**62 * slowest // (3 * rows * units * unit * instance.batch)
        ticks = rng.choice((head["ticks_per_second"], 49_000_000, edge, rng.randrange(edge), rng.randrange(1, 2**64)))
        ticks = min(MOST, ticks)
        start_price = rng.randrange(2**rng.randint(0, 40)) if instance.start == "free" and rng.random() < 0.5 else 0
        forged_head = {**head, "unit_bytes": unit, "ticks_per_second": ticks, "start_price": start_price}
        whole = ticks * unit * instance.batch
        kinds = [rng.choice(LEGAL) for _ in range(groups)]
        if rng.random() < 0.3:
            kinds[rng.randrange(groups)] = rng.choice(ILLEGAL)
        by_group = [group_prices(rng, forged_head, whole, kind) for kind in kinds]
        yield Forgery("prices at random", forged_head, [list(column) for column in zip(*by_group)],
                      row_prices(rng, rows, max(map(max, by_group)), min(MOST, 2**62 // units)), version, True)


def forged_heads(rng: random.Random, version: int, head: files.Head, found: list[list[int]], rows: list[int]
                 ) -> Iterator[Forgery]:
    """The certificate with each number of its head changed in turn."""
    for key, value in head.items():
        if key not in ("trace_digest", "made_by"):
            forged = rng.choice([c for c in CHOICES[key] if c != value]) if key in CHOICES else changed(rng, value)
            yield Forgery(f"{key} {value} -> {forged}", {**head, key: forged}, found, rows, version, key in FREE_KEYS)


def changed(rng: random.Random, value: Any) -> Any:
    """Another number, a little or much more or less; or a list with one of its numbers changed or two exchanged."""
    if not isinstance(value, list):
        return rng.choice([other for other in (value + 1, max(0, value - 1), 2 * value, value // 2, 0, value + 1000)
                           if other != value])
    a, b = rng.randrange(len(value)), rng.randrange(len(value))
    forged = list(value)
    if value[a] != value[b] and rng.random() < 0.5:
        forged[a], forged[b] = value[b], value[a]
    else:
        forged[a] = changed(rng, value[a])
    return forged


def malformed_heads(rng: random.Random, version: int, head: files.Head, found: list[list[int]], rows: list[int]
                    ) -> Iterator[Forgery]:
    """The certificate with its head in other words: version 3 has one form, that no two readers take differently."""
    text = files.text_of(head)
    keys = list(head)
    moved = rng.sample(keys, len(keys))
    number = f'"batch":{head["batch"]}'
    others = {
        "white space": text.replace(",", rng.choice((", ", ",\n", ",\t")), 1),
        "more behind": text + rng.choice(" \n}0"),
        "a key twice": text[:-1] + "," + rng.choice((number, '"batch":1')) + "}",
        "another order": files.text_of({key: head[key] for key in moved}) if moved != keys else "{}",
        "another key": text[:-1] + ',"more":0}', "a key less": files.text_of({key: head[key] for key in keys[:-1]}),
        "a number in other words": text.replace(number, '"batch":' + rng.choice(
            (f"{head['batch']}.0", f"0{head['batch']}", f"{head['batch']}e0", f"+{head['batch']}",
             f"[{head['batch']}]", "-0", "true", "null", str(head["batch"] + 2**64)))),
        "a key in other words": text.replace('"batch"', '"b\\u0061tch"'), "nothing": "{}"}
    for what, forged in others.items():
        yield Forgery(f"head: {what}", head, found, rows, version, False, forged)
