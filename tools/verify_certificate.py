#!/usr/bin/env python3
"""Recomputes what a certificate proves, from the trace and the certificate alone.

    python3 tools/verify_certificate.py TRACE.kvt CERTIFICATE.cert

Written from docs/trace_format.md and docs/certificate.md; shares no code with kvplace, and states on purpose again which
channels a transfer loads. Prints the bound in seconds as an exact fraction and as a decimal rounded down. Exit code 0: proven; 4: the certificate is rejected; 2: unreadable
input. Needs numpy and the command zstd. The trace's digest is taken from its footer.
"""

import decimal
import fractions
import functools
import itertools
import json
import math
import pathlib
import struct
import subprocess
import sys

import numpy as np

IMPOSSIBLE, WHOLE = 1 << 62, (1 << 63) - 1
NEAR, LINK_READ, LINK_WRITE, FAR = range(4)
UNREADABLE = (ValueError, KeyError, TypeError, IndexError, struct.error, subprocess.SubprocessError)


class Rejected(Exception):
    """The certificate proves nothing; exit code 4."""


def require(condition, otherwise):
    if not condition:
        raise Rejected(otherwise)


def decompress(data):
    return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout


def xxh64(data, seed=0):
    p1, p2, p3, p4, p5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579,
                          2870177450012600261)
    mask = (1 << 64) - 1
    rotate = lambda x, n: (x << n | x >> (64 - n)) & mask
    mix = lambda acc, lane: rotate((acc + lane * p2) & mask, 31) * p1 & mask
    h = (seed + p5) & mask
    if at := len(data) // 32 * 32:
        lanes = [(seed + p1 + p2) & mask, (seed + p2) & mask, seed, (seed - p1) & mask]
        for words in struct.iter_unpack("<4Q", data[:at]):
            lanes = [mix(lane, word) for lane, word in zip(lanes, words)]
        h = sum(rotate(lane, n) for lane, n in zip(lanes, (1, 7, 12, 18))) & mask
        for lane in lanes:
            h = ((h ^ mix(0, lane)) * p1 + p4) & mask
    h = (h + len(data)) & mask
    for at in range(at, len(data) - 7, 8):
        h = (rotate(h ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & mask
    for at in range(len(data) // 8 * 8, len(data) - 3, 4):
        h = (rotate(h ^ struct.unpack_from("<I", data, at)[0] * p1 & mask, 23) * p2 + p3) & mask
    for byte in data[len(data) // 4 * 4:]:
        h = rotate(h ^ byte * p5 & mask, 11) * p1 & mask
    for shift, prime in (33, p2), (29, p3):
        h = (h ^ h >> shift) * prime & mask
    return h ^ h >> 32


def read_head(data, magic, known, what):
    """The JSON object of a file that begins with magic, version, a length and a checksum; and where it ends."""
    version, length = struct.unpack_from("<II", data, 8)
    end = 16 + length
    if data[:8] != magic or version != known:
        raise ValueError(f"is not a {what} of version {known}")
    if length > 1 << 20 or len(data) < end + 8 or xxh64(data[:end]) != struct.unpack_from("<Q", data, end)[0]:
        raise ValueError("its head is damaged")
    return json.loads(data[16:end]), end + 8


class Varints:
    def __init__(self, data):
        self.data, self.at = data, 0

    def next(self):
        value = shift = 0
        while (byte := self.data[self.at]) >= 128:
            value |= (byte & 127) << shift
            self.at, shift = self.at + 1, shift + 7
        self.at += 1
        return value | byte << shift


class Trace:
    """A .kvt file; steps() gives its records in order."""
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.meta, _ = read_head(self.data, b"\x89KVT\r\n\x1a\n", 1, "trace")
        at, end_magic = struct.unpack_from("<Q8s", self.data, len(self.data) - 16)
        end = at + 12 + 24 * (chunks := struct.unpack_from("<Q", self.data, at + 4)[0])
        self.num_steps, self.blocks, _, digest, checksum = struct.unpack_from("<IIQ16sQ", self.data, end)
        if (self.data[at:at + 4], end_magic, checksum) != (b"FOOT", b"KVT-END\n", xxh64(self.data[at:end + 32])):
            raise ValueError("is truncated, or its footer is damaged")
        self.chunks = [struct.unpack_from("<QIIQ", self.data, at + 12 + 24 * i)[0] for i in range(chunks)]
        self.digest = digest.hex()
        self.layers, self.experts = self.meta["layers"], self.meta["experts"]
        self.prompt_blocks = -(-self.meta["prompt_tokens"] // self.meta["block_tokens"]) * self.meta["requests"]
        self.partial = bool(self.meta.get("has_read_bytes", False))

    def steps(self):
        """(decode step, layer, ids read, at most so many bytes of each, ids appended)"""
        expected = 0
        for offset in self.chunks:
            magic, step, steps, _, _, _, stored, checksum = struct.unpack_from("<IIIIQQQQ", self.data, offset)
            body = self.data[offset + 48:offset + 48 + stored]
            if (magic, step, checksum) != (0x4b4e4843, expected, xxh64(body, xxh64(self.data[offset:offset + 40]))):
                raise ValueError(f"the chunk at byte {offset} is damaged or not where it should be")
            yield from self.chunk(step, steps, decompress(body))
            expected += steps
        if expected != self.num_steps:
            raise ValueError("its chunks do not hold all steps")

    def chunk(self, first, steps, payload):
        ends = 32 + np.cumsum(struct.unpack_from("<4Q", payload))
        sets, lists, _, sizes = (Varints(payload[a:b]) for a, b in zip((32, *ends), ends))
        present, last = np.zeros((self.layers, self.blocks), bool), 0
        for step in range(first, first + steps):
            for layer in range(self.layers):
                count, wide = divmod(sets.next(), 2)
                if wide:
                    bits = np.frombuffer(sets.data, np.uint8, 8 * count, sets.at)
                    sets.at += 8 * count
                    changed = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
                else:
                    changed = np.cumsum([sets.next() + 1 for _ in range(count)], dtype=np.int64) - 1
                present[layer, changed] ^= True
                reads = np.flatnonzero(present[layer])
                moves = [(code := lists.next()) >> 1 ^ -(code & 1) for _ in range(lists.next())]
                appended = (last + np.cumsum(moves, dtype=np.int64)).tolist()
                last = appended[0] if appended else last
                read_bytes = [sizes.next() or WHOLE if self.partial else WHOLE for _ in reads]
                yield step, layer, reads, np.array(read_bytes, np.int64), appended


NUMBERS = {"layers", "steps", "blocks_per_layer", "batch", "kv_block_bytes", "expert_block_bytes", "new_kv_bytes",
           "capacity_bytes", "weight_bytes", "bandwidth_bytes_per_second", "interference_2_20", "floor_units",
           "overhead_units", "ticks_per_second", "unit_bytes", "start_price"}
CHOICES = {"mode": ("inclusive", "exclusive"), "barrier": ("layer", "token"), "overlap": ("full", "none"),
           "start": ("recent", "empty", "free"), "mirrored_reads": ("near", "split")}


def read_certificate(path, trace):
    """Its numbers, channel prices [group][channel] and row prices [step], as Python integers."""
    data = pathlib.Path(path).read_bytes()
    try:
        n, at = read_head(data, b"\x89KVC\r\n\x1a\n", 2, "certificate")
        require(isinstance(n, dict) and set(n) == {"trace_digest", "made_by", *NUMBERS, *CHOICES}, "keys are not known")
        for key in NUMBERS:
            several = key in ("weight_bytes", "bandwidth_bytes_per_second")
            values = n[key] if several else [n[key]]
            bits = 64 if key in ("ticks_per_second", "start_price") else 63
            require(isinstance(values, list) and len(values) == (4 if several else 1)
                    and all(type(v) is int and 0 <= v < 1 << bits for v in values), f"{key} is no number in range")
        require(all(n[key] in choices for key, choices in CHOICES.items()), "a choice is not known")
        require(n["trace_digest"] == trace.digest, "it speaks about another trace")
        require((n["layers"], n["steps"], n["blocks_per_layer"]) == (trace.layers, trace.num_steps, trace.blocks),
                "its layers, steps or blocks are not the trace's")
        stored, = struct.unpack_from("<Q", data, at)
        require(len(data) == at + 16 + stored, "is cut off, damaged, or goes on after its end")
        require(xxh64(data[at:-8]) == struct.unpack_from("<Q", data, at + 8 + stored)[0], "its prices are damaged")
        words = np.frombuffer(decompress(data[at + 8:-8]), "<u8").tolist()
    except UNREADABLE as error:
        raise Rejected(str(error)) from error
    groups = n["steps"] * (1 if n["barrier"] == "token" else n["layers"])
    require(len(words) == 4 * groups + n["steps"] * n["layers"], "its prices are not as many as its steps need")
    return n, list(zip(*(words[c * groups:(c + 1) * groups] for c in range(4)))), words[4 * groups:]


def check(n, prices, rows, trace):
    """Validity of the prices; the ticks of overheads, and of each group what the prices leave of its floor."""
    unit, largest = n["unit_bytes"], max(n["kv_block_bytes"], n["expert_block_bytes"])
    require(n["batch"] > 0 and n["kv_block_bytes"] > 0 and (n["expert_block_bytes"] > 0) == (trace.experts > 0)
            and n["new_kv_bytes"] <= n["kv_block_bytes"] and n["interference_2_20"] < 1 << 20
            and all(1 <= rate < 1 << 50 for rate in n["bandwidth_bytes_per_second"])
            and not (n["mirrored_reads"] == "split" and n["mode"] == "exclusive")
            and (n["start"] == "free" or n["start_price"] == 0), "a number is out of range")
    require(n["ticks_per_second"] > 0 and unit > 0 and (unit == 1 or not trace.partial)
            and n["kv_block_bytes"] % unit == n["expert_block_bytes"] % unit == 0
            and (n["mode"] == "inclusive" or n["new_kv_bytes"] % unit == 0), "unit_bytes does not fit the sizes")
    whole = n["ticks_per_second"] * unit * n["batch"]
    require(whole < 1 << 100, "ticks_per_second x unit_bytes x batch is 2^100 or more")
    m = n["layers"] if n["barrier"] == "token" else 1
    path = sum(3 * m * max(a[NEAR], a[LINK_READ] + a[FAR], a[LINK_WRITE] + a[FAR]) for a in prices)
    require((path + sum(rows) + n["start_price"]) * (largest // unit) < 1 << 62, "the cost of a block may overflow")
    overhead, floor = (m * (n[key] * n["ticks_per_second"] >> 60) for key in ("overhead_units", "floor_units"))
    require(floor < (1 << 126) // whole, "the floor of a step may overflow")
    rests = []
    for a in prices:
        products = [price * rate for price, rate in zip(a, n["bandwidth_bytes_per_second"])]
        if n["overlap"] == "full":
            claimed = max(*products, -(-(sum(products) << 20) // ((1 << 20) + n["interference_2_20"])))
        else:
            claimed = max(products[NEAR], sum(products[LINK_READ:]))
        require(claimed <= whole, "channel prices claim more than the time of a step")
        rests.append((whole - claimed) * floor // whole)
    return overhead * len(rests), floor, rests


def group_ticks(n, floor):
    """A function: ticks of a group by its prices, what they leave of the floor, its fixed bytes and its reads."""
    rates, one, a, full = n["bandwidth_bytes_per_second"], 1 << 20, n["interference_2_20"], n["overlap"] == "full"
    unit, sizes = n["unit_bytes"], (n["kv_block_bytes"], n["expert_block_bytes"])
    step, largest, time = math.gcd(*sizes) // unit, max(sizes) // unit, n["ticks_per_second"] * unit * n["batch"]
    shares = [{i: one, j: a if full else one} for i, j in itertools.permutations(range(4), 2) if full or i == NEAR]
    forms = [[time * share.get(c, 0) // (one * rates[c]) for c in range(4)] for share in shares]
    for side in (LINK_READ, FAR) if full else ():
        both = time * (one + a) // (one * (rates[NEAR] + rates[side]))
        if both * max(rates[NEAR], rates[side]) <= time:
            forms.append([both if c in (NEAR, side) else 0 for c in range(4)])
    forms = [([min(price, (1 << 58) // largest) for price in form], 0) for form in forms] + [([0] * 4, floor)]
    far = lambda b: b[LINK_READ] + b[FAR]
    served = lambda b: min(b[NEAR], far(b)) if n["mirrored_reads"] == "split" else b[NEAR]

    @functools.lru_cache(1 << 20)
    def ticks(a, rest, fixed, units_read, whole):
        require(max(fixed) < 1 << 63, "a step moves 2^63 bytes or more")
        of_fixed = lambda b: sum(price * load for price, load in zip(b, fixed)) // (unit * n["batch"])
        missed = lambda b: far(b) - served(b) - far(a) + served(a) + min(0, b[NEAR] - a[NEAR])
        lines = [(of_fixed(b) + units_read * (served(b) - served(a)) + more,  # and for each block over the link:
                  step * min(missed(b), far(b) + b[NEAR] - far(a) - a[NEAR])) for b, more in forms]
        at = lambda m: max(none + m * slope for none, slope in lines)  # convex
        low, high = 0, n["layers"] ** (2 if n["barrier"] == "token" else 1) * n["blocks_per_layer"] * (largest // step)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if at(middle) <= at(middle + 1) else (middle + 1, high)
        return max(of_fixed(a) + rest, at(low)) if whole and n["mode"] == "inclusive" else of_fixed(a) + rest
    return ticks

def value(n, prices, rows, trace):
    """Ticks of all groups, and of every block's cheapest residency path."""
    layers, unit, exclusive, token = n["layers"], n["unit_bytes"], n["mode"] == "exclusive", n["barrier"] == "token"
    ticks, floor, rests = check(n, prices, rows, trace)
    of_group, initial = group_ticks(n, floor), trace.experts + trace.prompt_blocks
    kinds, new = (n["expert_block_bytes"] // unit, n["kv_block_bytes"] // unit), n["new_kv_bytes"] // unit * exclusive
    size = np.where(np.arange(trace.blocks) < trace.experts, *np.array(kinds, np.int64))
    exists = np.broadcast_to(np.arange(trace.blocks) < initial, (layers, trace.blocks)).copy()
    far, near = np.zeros((2, layers, trace.blocks), np.int64)
    if n["start"] == "free":
        near[:, :initial] = size[:initial] * n["start_price"]
    else:
        recent = min(n["capacity_bytes"] // (n["kv_block_bytes"] * layers), trace.prompt_blocks)
        first = initial - recent if n["start"] == "recent" else initial
        near[:, :first] = far[:, first:initial] = IMPOSSIBLE
    for step, layer, reads, read_bytes, appended in trace.steps():
        k = step * layers + layer
        a = prices[step if token else k]
        a_near, a_read, a_write = a[NEAR], a[LINK_READ] + a[FAR], a[LINK_WRITE] + a[FAR]
        moved = np.minimum(read_bytes, size[reads])
        by_rule, written = np.isin(reads, appended), 0 if exclusive else n["new_kv_bytes"] * len(appended)
        loads, units_read, whole = (loads, units_read, whole) if layer > 0 and token else ([0] * 4, 0, True)
        fixed = sum(moved[by_rule].tolist()) * unit + written, 0, written, written
        loads = [load + w + n["batch"] * b for load, w, b in zip(loads, n["weight_bytes"], fixed)]
        f, v, ids, r = far[layer], near[layer], reads[~by_rule], moved[~by_rule]
        if not exists[layer, ids].all():
            raise ValueError(f"decode step {step}, layer {layer}: a block is read before it exists")
        units_read, whole = units_read + sum(r.tolist()), whole and bool((r == size[ids]).all())
        if layer == layers - 1 or not token:
            ticks += of_group(a, rests[step if token else k], tuple(loads), units_read, whole)
        v[ids] += r * (min(a_near, a_read) if n["mirrored_reads"] == "split" else a_near)
        f[ids] += r * a_read
        newborn = [b for b in appended if not exists[layer, b]]
        v[appended], f[appended] = v[appended] + new * a_near, f[appended] + new * a_write  # of newborn ones, set below
        enter = np.broadcast_to(size * (a_near + a_read), far.shape).copy()  # of each block, in this step
        enter[layer, ids] = r * a_near + (size[ids] - r) * (a_near + a_read)
        leave = size * (a_near + a_write) * exclusive
        far, near = np.minimum(far, near + leave), np.minimum(near, far + enter)
        near[layer, newborn], far[layer, newborn], exists[layer, newborn] = new * a_near, new * a_write, True
        near += size * rows[k]
        near[~exists] = far[~exists] = 0
    return ticks + sum(np.minimum(far, near)[exists].tolist())


def main(arguments):
    try:
        trace = Trace(arguments[0])
        n, prices, rows = read_certificate(arguments[1], trace)
        ticks = value(n, prices, rows, trace)
    except Rejected as error:
        print(f"rejected: {arguments[1]}: {error}", file=sys.stderr)
        return 4
    except (OSError, *UNREADABLE) as error:
        print(f"cannot be read: {arguments[0]}: {error}", file=sys.stderr)
        return 2
    ticks = max(0, ticks - n["capacity_bytes"] // n["unit_bytes"] * (sum(rows) + n["start_price"]))
    p, q = fractions.Fraction(ticks, n["ticks_per_second"]).as_integer_ratio()
    # Rounded down; 18 significant digits, or the whole part if that has more.
    text = f"{decimal.Context(max(18, len(str(p // q))), decimal.ROUND_DOWN).divide(p, q):f}"
    print(f"{p}/{q}", text.rstrip("0").rstrip(".") if "." in text else text, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) == 3 else print(__doc__) or 2)
