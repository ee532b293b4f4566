#!/usr/bin/env python3
"""Recomputes what a certificate proves, from the trace and the certificate alone.

    python3 tools/verify_certificate.py TRACE.kvt CERTIFICATE.cert

Written from docs/trace_format.md and docs/certificate.md; shares no code with kvplace, and states on purpose again which
channels a transfer loads. Prints the bound in seconds as an exact fraction and as a decimal rounded down. Exit code 0: proven; 4:
the certificate is rejected; 2: unreadable input. Needs the Python packages numpy and xxhash, and the command zstd.
"""

import decimal
import fractions
import itertools
import math
import sys

import numpy as np

from certificate_file import Rejected, read_certificate, require
from trace_file import UNREADABLE, Trace

IMPOSSIBLE = (1 << 62) - 1  # no less than any cost that is possible, and twice of it fits 64 bits
NEAR, LINK_READ, LINK_WRITE, FAR = range(4)


def check(n, prices, rows, trace):
    """Validity of the prices; floor and overhead of a group, and of each group what the prices leave of its floor."""
    unit, sizes = n["unit_bytes"], {*n["kv_block_bytes"], n["expert_block_bytes"]}
    require(n["batch"] == 1 or not trace.served, "batch is not 1, though the trace has its requests")
    require(n["batch"] > 0 and min(n["kv_block_bytes"]) > 0 and (n["expert_block_bytes"] > 0) == (trace.experts > 0)
            and all(new <= size for new, size in zip(n["new_kv_bytes"], n["kv_block_bytes"]))
            and n["interference_2_20"] < 1 << 20
            and all(1 <= rate < 1 << 50 for rate in n["bandwidth_bytes_per_second"])
            and not (n["mirrored_reads"] == "split" and n["mode"] == "exclusive")
            and (n["start"] == "free" or n["start_price"] == 0), "a number is out of range")
    require(n["ticks_per_second"] > 0 and unit > 0 and (unit == 1 or not trace.partial)
            and all(size % unit == 0 for size in sizes)
            and (n["mode"] == "inclusive" or all(new % unit == 0 for new in n["new_kv_bytes"])),
            "unit_bytes does not fit the sizes")
    whole = n["ticks_per_second"] * unit * n["batch"]
    require(whole < 1 << 100, "ticks_per_second x unit_bytes x batch is 2^100 or more")
    m = n["layers"] if n["barrier"] == "token" else 1
    path = sum(3 * m * max(a[NEAR], a[LINK_READ] + a[FAR], a[LINK_WRITE] + a[FAR]) for a in prices)
    require((path + sum(rows) + n["start_price"]) * (max(sizes) // unit) < 1 << 62, "the cost of a block may overflow")
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
    return overhead, floor, rests


def least_of_largest(lines, most):
    """The least over m = 0, ..., most of the largest of first + m x slope, which is convex."""
    at = lambda m: max((first + m * slope, slope, first) for first, slope in lines)
    low, high, left, right = 0, most, at(0), at(most)
    while low < high and left[1] < 0 < right[1]:
        # Where the lines that are largest at the two ends meet, the least is not far.
        middle = min(max((right[2] - left[2]) // (left[1] - right[1]), low), high - 1)
        here, following = at(middle), at(middle + 1)
        if here[0] <= following[0]:
            high, right = middle, here
            if here[1] <= 0:  # flat, or falls to it and rises behind it
                return here[0]
        else:
            low, left = middle + 1, following
    return min(left[0], right[0])


class GroupTicks:
    """Ticks of a group beside the paths of blocks: what its fixed bytes cost, and the larger of floor and credit."""
    def __init__(self, n, floor):
        rates, one, a, full = n["bandwidth_bytes_per_second"], 1 << 20, n["interference_2_20"], n["overlap"] == "full"
        unit, sizes = n["unit_bytes"], {*n["kv_block_bytes"], n["expert_block_bytes"]}
        self.split, self.per = n["mirrored_reads"] == "split", unit * n["batch"]
        self.credited = n["mode"] == "inclusive" and n["claim"] == "step"
        self.piece, largest, time = math.gcd(*sizes) // unit, max(sizes) // unit, n["ticks_per_second"] * self.per
        steps = n["layers"] if n["barrier"] == "token" else 1
        self.most = steps * n["blocks_per_layer"] * n["layers"] * (largest // self.piece)
        shares = [{i: one, j: a if full else one} for i, j in itertools.permutations(range(4), 2) if full or i == NEAR]
        forms = [[time * share.get(c, 0) // (one * rates[c]) for c in range(4)] for share in shares]
        for side in (LINK_READ, FAR) if full else ():
            both = time * (one + a) // (one * (rates[NEAR] + rates[side]))
            if both * max(rates[NEAR], rates[side]) <= time:
                forms.append([both if c in (NEAR, side) else 0 for c in range(4)])
        forms = [([min(price, (1 << 58) // largest) for price in form], 0) for form in forms] + [([0] * 4, floor)]
        self.forms = [(b, more, *self.of_unit(b)) for b, more in forms]

    def of_unit(self, b):
        """What a unit costs: near, far, read from a near block."""
        far = b[LINK_READ] + b[FAR]
        return b[NEAR], far, min(b[NEAR], far) if self.split else b[NEAR]

    def of_fixed(self, b, fixed, later=0):
        return (b[0] * fixed[0] + b[1] * fixed[1] + b[2] * fixed[2] + b[3] * fixed[3] + later) // self.per

    def ticks(self, a, rest, fixed, later, units_read, whole):
        none = self.of_fixed(a, fixed, later)
        if not (self.credited and whole):
            return none + rest
        a_near, a_far, a_read = self.of_unit(a)
        lines = []
        for b, more, near, far, read in self.forms:
            missed = far - read - a_far + a_read + min(0, near - a_near)
            promoted = far + near - a_far - a_near
            lines.append((self.of_fixed(b, fixed) + more + units_read * (read - a_read) - none,
                          self.piece * min(missed, promoted)))
        return none + max(rest, least_of_largest(lines, self.most))


def then(first, second):
    """Of the cheapest ways from state to state: one after the other, for arrays of them."""
    both = first[..., :, :, None] + second[..., None, :, :]
    return np.minimum(both.min(-2), IMPOSSIBLE)


class Paths:
    """The cheapest residency path of each block of each layer, carried on from step to step.

    States are far, near and, with claim any, arriving. A layer's blocks see most steps without being read; there all of one
    size move alike, so the ways between two steps of their own layer are found once, for one unit.
    """
    FAR, NEAR, ARRIVING = range(3)

    def __init__(self, n, prices, rows, trace):
        layers, steps, unit = n["layers"], n["steps"], n["unit_bytes"]
        self.layers, self.exclusive, self.exists, self.ended = layers, n["mode"] == "exclusive", trace.exists, 0
        self.split, self.any = n["mirrored_reads"] == "split", n["claim"] == "any"
        repeat = layers if n["barrier"] == "token" else 1
        a = np.repeat(np.array(prices, np.int64), repeat, 0)
        self.near, self.far, self.write = a[:, NEAR], a[:, LINK_READ] + a[:, FAR], a[:, LINK_WRITE] + a[:, FAR]
        self.later = np.minimum.accumulate(self.write[::-1])[::-1] if self.any else self.write
        self.rows = np.array(rows, np.int64)
        pages, expert = (np.array(n["kv_block_bytes"], np.int64) // unit)[:, None], n["expert_block_bytes"] // unit
        self.size = np.where(np.arange(trace.blocks) < trace.experts, expert, pages)
        self.between = self.ways(layers, steps)
        self.cost = np.full((layers, 3 if self.any else 2, trace.blocks), IMPOSSIBLE)
        near_from = {"empty": trace.initial, "free": 0,
                     "recent": trace.initial - min(near_capacity(n, n["batch"]) // sum(n["kv_block_bytes"]),
                                                   trace.prompt_blocks)}[n["start"]]
        far_to = trace.initial if n["start"] == "free" else near_from
        self.cost[:, self.FAR, :far_to] = 0
        self.cost[:, self.NEAR, near_from:trace.initial] = n["start_price"] * self.size[:, near_from:trace.initial]

    def ways(self, layers, steps):
        """By decode step and layer: cheapest ways of a unit from after the layer's step before to before this one."""
        enter, leave = self.near + self.far, (self.near + self.write) * self.exclusive
        stay, none, never = self.rows, np.zeros_like(self.rows), np.full_like(self.rows, IMPOSSIBLE)
        one = np.array([[none, enter + stay, enter + stay], [leave, stay, never], [none, stay, stay]])
        states = 3 if self.any else 2
        one = np.moveaxis(one[:states, :states], 2, 0).reshape(steps, layers, states, states)
        still = np.where(np.eye(states, dtype=bool), 0, IMPOSSIBLE)
        before, after = (np.broadcast_to(still, (steps + 1, layers + 1, states, states)).copy() for _ in range(2))
        for layer in range(layers):
            before[:steps, layer + 1] = then(before[:steps, layer], one[:, layer])  # all up to this layer
            last = layers - 1 - layer
            after[1:, last] = then(one[:, last], after[1:, last + 1])  # all from this layer on
        return then(after[:, 1:], before[:, :-1])

    def go(self, step, layer):
        """From after the layer's step before to before this one; with `step` one too many, to the end."""
        ways, size = self.between[step, layer][:, :, None], self.size[layer]
        cost = np.minimum(self.cost[layer], IMPOSSIBLE)[:, None] + np.where(ways >= IMPOSSIBLE, IMPOSSIBLE, ways * size)
        self.cost[layer] = cost.min(0)

    def step(self, step, layer, ids, r, appended, new, newborn, ended):
        """A step of the layer: r units are read of the blocks ids, new units are written to those appended to; those ended
        are gone after it."""
        self.go(step, layer)
        k, cost, size = step * self.layers + layer, self.cost[layer], self.size[layer]
        a_near, a_far, a_write = self.near[k], self.far[k], self.write[k]
        cost[:, ids] += r * a_far
        cost[self.NEAR, ids] += r * ((min(a_near, a_far) if self.split else a_near) - a_far)
        enter = size * (a_near + a_far)
        enter[ids] = r * a_near + (0 if self.any else (size[ids] - r) * (a_near + a_far))
        if self.exclusive:
            cost[:, appended] += new * self.later[k]  # of newborn ones, set below
            cost[self.NEAR, appended] += new * (a_near - self.later[k])
        far, near = cost[self.FAR].copy(), cost[self.NEAR].copy()
        last = np.minimum(far, near)
        np.minimum(far, near + (size * (a_near + a_write) if self.exclusive else 0), out=cost[self.FAR])
        np.minimum(near, far + enter, out=cost[self.NEAR])
        if self.any:
            arriving = cost[self.ARRIVING].copy()
            np.minimum(arriving, far + enter, out=cost[self.ARRIVING])
            np.minimum(cost[:2], arriving, out=cost[:2])
        born = new[np.isin(appended, newborn)] * self.exclusive
        cost[:, newborn] = born * self.later[k]
        cost[self.NEAR, newborn] = born * a_near
        last[newborn] = cost[:2, newborn].min(0)
        if self.any:
            cost[self.ARRIVING, newborn] += size[newborn] * (a_near + a_far)
        cost[self.NEAR:] += size * self.rows[k]
        self.ended += sum(last[ended].tolist())
        cost[:, ended] = 0  # far, where nothing costs any more

    def total(self, steps):
        for layer in range(self.layers):
            self.go(steps, layer)
        return self.ended + sum(self.cost.min(1)[self.exists].tolist())


def near_capacity(n, requests, up=False):
    """Bytes of a request's share of near memory, in whole pieces."""
    piece = math.gcd(*n["kv_block_bytes"], n["expert_block_bytes"])
    pieces = n["capacity_bytes"] // piece
    return piece * (-(-pieces // requests) if up else pieces // requests)


def value(n, prices, rows, trace):
    """Ticks of all groups, and of every block's cheapest residency path, less those of near capacity."""
    layers, batch, token, late = n["layers"], n["batch"], n["barrier"] == "token", n["claim"] == "any"
    overhead, floor, rests = check(n, prices, rows, trace)
    of_group, paths = GroupTicks(n, floor), Paths(n, prices, rows, trace)
    ticks, named, later = overhead * len(rests), np.zeros(trace.blocks, bool), paths.later.tolist()
    contexts, always = trace.context.tolist(), n["fixed_bytes"]
    by_running = [always[at:at + layers] for at in range(0, len(always), layers)]
    for step, layer, reads, read_bytes, appended, tokens, newborn, ended in trace.steps():
        k = step * layers + layer
        if layer == 0 or not token:
            fixed, written, units_read, whole = [0] * 4, 0, 0, True
        named[appended] = True
        by_rule, moved = named[reads], np.minimum(read_bytes, paths.size[layer, reads])
        named[appended] = False
        ids, r = reads[~by_rule], moved[~by_rule]
        each = [min(n["new_kv_bytes"][layer] * written, n["kv_block_bytes"][layer]) for written in tokens.tolist()]
        new = batch * sum(each) * (n["mode"] == "inclusive")
        at_once = 0 if late else new
        of_read = batch * n["unit_bytes"] * sum(moved[by_rule].tolist())
        of_layer = by_running[trace.running[step] - 1 if len(by_running) > 1 else 0][layer]
        fixed = [sum_ + a + b * contexts[step] + more for sum_, (a, b), more
                 in zip(fixed, of_layer, (of_read + new, 0, at_once, at_once))]
        written += new if late else 0
        units_read, whole = units_read + sum(r.tolist()), whole and bool((r == paths.size[layer, ids]).all())
        if layer == layers - 1 or not token:
            group = step if token else k
            require(max(fixed) < 1 << 63, "a step moves 2^63 bytes or more")
            ticks += of_group.ticks(prices[group], rests[group], fixed, later[k] * written, units_read, whole)
        paths.step(step, layer, ids, r, appended, np.array(each, np.int64) // n["unit_bytes"], newborn, ended)
    require(trace.digest == trace.stated_digest, "the trace's contents have another digest")
    if late and n["mode"] == "exclusive":  # A demotion's bytes leave one by one: beside whole blocks there may be parts.
        capacity = -(-n["capacity_bytes"] // (batch * n["unit_bytes"]))
    else:
        capacity = near_capacity(n, batch, late) // n["unit_bytes"]
    return ticks + paths.total(n["steps"]) - capacity * (sum(rows) + n["start_price"])


def main(arguments):
    try:
        trace = Trace(arguments[0])
        n, prices, rows = read_certificate(arguments[1], trace)
        ticks = max(0, value(n, prices, rows, trace))
    except Rejected as error:
        print(f"rejected: {arguments[1]}: {error}", file=sys.stderr)
        return 4
    except OSError as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    except UNREADABLE as error:
        print(f"cannot be read: {arguments[0]}: {error}", file=sys.stderr)
        return 2
    p, q = fractions.Fraction(ticks, n["ticks_per_second"]).as_integer_ratio()
    # Rounded down; 18 significant digits, or the whole part if that has more.
    text = f"{decimal.Context(max(18, len(str(p // q))), decimal.ROUND_DOWN).divide(p, q):f}"
    print(f"{p}/{q}", text.rstrip("0").rstrip(".") if "." in text else text, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) == 3 else print(__doc__) or 2)
