"""What prices prove of claim `any`: docs/certificate.md in exact fractions, without its roundings.

A certificate's value is rounded down here and there, so it is at most this one; and this one is at most the optimum.
The credit for whole blocks is left out, as claim `any` has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from instance import FAR, LINK_READ, LINK_WRITE, NEAR, Block, Instance

NEVER = Fraction(10**30)


def time_share(instance: Instance, prices: Sequence[Fraction]) -> Fraction:
    """What share of a group's time channel prices claim: prices of a byte, in seconds."""
    m = [price * rate for price, rate in zip(prices, instance.bandwidth)]
    if instance.overlap == "none":
        return max(m[NEAR], sum(m[1:], Fraction(0)))
    return max(*m, sum(m, Fraction(0)) / (1 + instance.interference))


def value_any(instance: Instance, channel: Sequence[Sequence[Fraction]], rows: Sequence[Fraction],
              start_price: Fraction) -> Fraction:
    """Seconds proven. channel[group][channel]: of a byte that moves; rows[step]: of a byte near; of the whole batch."""
    i, born = instance, instance.births()
    steps, m, last = i.layers * i.steps, i.steps_per_group, instance.num_groups - 1
    write = [p[LINK_WRITE] + p[FAR] for p in channel]
    late = [min(write[g:]) for g in range(last + 1)]
    total = i.overhead * steps
    for prices in channel:
        share = time_share(i, prices)
        assert share <= 1
        total += (1 - share) * i.floor * m
    for k, record in enumerate(i.records):
        g, own = i.group(k), [(k % i.layers, b) for b in record.reads if b in record.appended]
        total += sum(w * p for w, p in zip(i.fixed_loads(k), channel[g]))
        total += i.batch * channel[g][NEAR] * sum(i.read_bytes(b, record.reads[b[1]]) for b in own)
        if not i.exclusive:
            total += i.batch * sum(i.new_bytes(k, b) for b in record.appended) * (channel[g][NEAR] + late[g])
    total -= room(i) * (sum(rows) + start_price)
    return total + i.batch * sum(path(i, b, birth, channel, late, rows, start_price) for b, birth in born.items())


def room(instance: Instance) -> Fraction:
    """Bytes near that the rows may take, of all requests.

    In inclusive mode what is near are whole blocks; in exclusive mode a demotion's bytes leave as they like."""
    piece = 1 if instance.exclusive else instance.piece
    return Fraction(instance.near_capacity // piece * piece)


def path(i: Instance, b: Block, birth: int, channel: Sequence[Sequence[Fraction]], late: Sequence[Fraction],
         rows: Sequence[Fraction], start_price: Fraction) -> Fraction:
    """Least cost of a block of one request; row prices are of the whole batch, as channel prices are."""
    size = i.size(b)
    far = arriving = near = NEVER
    if birth < 0:
        at_start = b in i.near_at_start()
        far = NEVER if at_start and i.start != "free" else Fraction(0)
        near = size * start_price if i.start == "free" else Fraction(0) if at_start else NEVER
    for k in range(max(birth, 0), min(i.last(b) + 1, i.layers * i.steps)):
        record, g = i.records[k], i.group(k)
        a_near, a_far = channel[g][NEAR], channel[g][LINK_READ] + channel[g][FAR]
        here, appended = b[0] == k % i.layers, b[0] == k % i.layers and b[1] in record.appended
        new = i.new_bytes(k, b[1]) if i.exclusive and appended else 0
        if birth == k:
            near, arriving, far = new * a_near, NEVER, new * late[g]
        else:
            enter = size * (a_near + a_far)
            if here and b[1] in record.reads and not appended:
                r = i.read_bytes(b, record.reads[b[1]])
                near += r * (min(a_near, a_far) if i.mirrored_reads == "split" and not i.exclusive else a_near)
                far, arriving, enter = far + r * a_far, arriving + r * a_far, r * a_near
            if appended:
                near, far, arriving = near + new * a_near, far + new * late[g], arriving + new * late[g]
            leave = size * (a_near + channel[g][LINK_WRITE] + channel[g][FAR]) if i.exclusive else Fraction(0)
            far, arriving, near = (min(far, arriving, near + leave), min(arriving, far + enter),
                                   min(near, arriving, far + enter))
        if k < i.last(b):  # else it is gone from near
            near, arriving = near + size * rows[k], arriving + size * rows[k]
    return min(far, arriving, near)
