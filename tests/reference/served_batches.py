"""Served batches for the reference model: who is admitted when, and the trace that their requests make together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from reference_model import Trace

Rows = list[list[list[int]]]  # rows[t][l] = pages read by one request


class Request(NamedTuple):
    """Of a served batch: it decodes a token in each of the decode steps first ... end - 1."""

    prompt_tokens: int
    first: int
    end: int


class Waiting(NamedTuple):
    """A request that comes after so many decode steps' time."""

    arrival: float
    prompt_tokens: int
    output_tokens: int


def poisson_arrivals(seed: int, per_second: float, step_s: float, count: int) -> list[float]:
    """In decode steps; the first comes at once. Numbers of SplitMix64, as they are published."""
    arrivals, seconds, state = [], 0.0, seed
    for n in range(count):
        if n > 0:
            state = (state + 0x9E3779B97F4A7C15) % 2**64
            x = state
            x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
            x ^= x >> 31
            seconds -= math.log(1 - (x >> 11) / 2**53) / per_second
        arrivals.append(seconds / step_s)
    return arrivals


def admit(waiting: Sequence[Waiting], slots: int, kv_tokens: float = math.inf) -> tuple[list[Request], int]:
    """Time passes step by step: first come, first served, if there is a slot and room for it to its end. Returns
    requests, and the steps left out in which nothing would run."""
    found: list[Request] = []
    step = idle = 0
    while len(found) < len(waiting):
        running = [r for r in found if r.end > step]
        while len(found) < len(waiting):
            w = waiting[len(found)]
            held = sum(r.prompt_tokens + r.end - r.first for r in running)
            if w.arrival > step + idle or len(running) == slots or held + w.prompt_tokens + w.output_tokens > kv_tokens:
                break
            found.append(Request(w.prompt_tokens, step, step + w.output_tokens))
            running.append(found[-1])
        if running:
            step += 1
        else:
            idle += 1
    return found, idle


def page_ids(requests: Sequence[Request], block_tokens: int) -> list[list[int]]:
    """Of each request by page: ids count up as pages come to be."""
    ids: list[list[int]] = [[] for _ in requests]
    following = 0

    def take(r: int) -> None:
        nonlocal following
        ids[r].append(following)
        following += 1

    prompt_pages = [-(-r.prompt_tokens // block_tokens) for r in requests]
    at_start = [r for r, request in enumerate(requests) if request.first == 0]
    for left in range(max(prompt_pages[r] for r in at_start), 0, -1):
        for r in at_start:
            if prompt_pages[r] - len(ids[r]) == left:
                take(r)
    for t in range(max(r.end for r in requests)):
        for r, request in enumerate(requests):
            if request.first <= t < request.end and (request.prompt_tokens + t - request.first) // block_tokens == len(ids[r]):
                take(r)
        for r, request in enumerate(requests):
            if request.first == t + 1:
                for _ in range(prompt_pages[r]):
                    take(r)
    return ids


def make_served_trace(requests: Sequence[Request], rows: Sequence[Rows], block_tokens: int) -> Trace:
    """The trace of requests that read rows[request] by page, from their first decode step on."""
    ids, layers = page_ids(requests, block_tokens), len(rows[0][0])
    steps = []
    for t in range(max(r.end for r in requests)):
        running = [r for r, request in enumerate(requests) if request.first <= t < request.end]
        written = {ids[r][(requests[r].prompt_tokens + t - requests[r].first) // block_tokens] for r in running}
        arrived = {i for r, request in enumerate(requests) if request.first == t + 1
                   for i in ids[r][:-(-request.prompt_tokens // block_tokens)]}
        steps.append([(sorted(ids[r][page] for r in running for page in rows[r][t - requests[r].first][l]),
                       sorted(written | arrived)) for l in range(layers)])
    return Trace(layers, max(r.prompt_tokens for r in requests), block_tokens, steps,
                 served=[(r.prompt_tokens, r.first, r.end) for r in requests], ids=ids)
