"""Random served batches: requests that come, run side by side and end (docs/formulation.md, "Requests")."""

from __future__ import annotations

import random

from instance import Record, Request

Pages = dict[int, int]


def requests_of(rng: random.Random, steps: int, block_tokens: int) -> tuple[Request, ...]:
    """A few, at times with the same steps; in each decode step one runs at least."""
    while True:
        found = []
        for _ in range(rng.choice((1, 2, 2, 3, 3, 4))):
            first = rng.choice((0, 0, rng.randrange(steps)))
            found.append(Request(rng.randint(0, 3 * block_tokens), first, rng.randint(first + 1, steps)))
        if all(any(r.runs(t) for r in found) for t in range(steps)):
            return tuple(found)


def births_of(requests: tuple[Request, ...], steps: int, block_tokens: int, experts: int
              ) -> tuple[tuple[tuple[int, ...], ...], list[Pages]]:
    """Ids of each request's pages, and by decode step what it appends to, and tokens written to each.

    All pages in order of birth: the step (-1: before the first), then as the page says."""
    born = []
    for r, request in enumerate(requests):
        prompt = -(-request.prompt_tokens // block_tokens)
        for page in range(-(-(request.prompt_tokens + request.end - request.first) // block_tokens)):
            if page >= prompt:
                at = (request.first + page * block_tokens - request.prompt_tokens, 0, r, page)
            elif request.first == 0:
                at = (-1, page - prompt, r, page)
            else:
                at = (request.first - 1, 1, r, page)
            born.append((at, r, page))
    ids = {(r, page): experts + n for n, (_, r, page) in enumerate(sorted(born))}
    appended: list[Pages] = []
    for t in range(steps):
        pages = {ids[r, (q.prompt_tokens + t - q.first) // block_tokens]: 1 for r, q in enumerate(requests) if q.runs(t)}
        pages |= {ids[r, page]: 0 for r, q in enumerate(requests) if q.first == t + 1
                  for page in range(-(-q.prompt_tokens // block_tokens))}
        appended.append(dict(sorted(pages.items())))
    by_request = tuple(tuple(ids[r, page] for page in range(sum(owner == r for owner, _ in ids)))
                       for r in range(len(requests)))
    return by_request, appended


def records_of(rng: random.Random, layers: int, experts: int, block_tokens: int, requests: tuple[Request, ...],
               ids: tuple[tuple[int, ...], ...], appended: list[Pages], partial: bool, sizes: tuple[int, int]
               ) -> tuple[Record, ...]:
    """Reads that stay in part from step to step, of pages of those that run."""
    kept: list[set[int]] = [set() for _ in range(layers)]
    stays, comes = rng.choice([(0.9, 0.2), (0.6, 0.4), (0.3, 0.5), (0.1, 0.7)])
    records = []
    for t, pages in enumerate(appended):
        may = {*range(experts), *(b for q, own in zip(requests, ids) if q.runs(t)
                                  for b in own[:(q.prompt_tokens + t - q.first) // block_tokens + 1])}
        for l in range(layers):
            reads = {b for b in may if rng.random() < (stays if b in kept[l] else comes)}
            kept[l] = reads
            stored = {b: rng.choice((0, rng.randint(1, sizes[b < experts]))) if partial else 0 for b in sorted(reads)}
            records.append(Record(stored, tuple(pages), tuple(pages.values())))
    return tuple(records)
