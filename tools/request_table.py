"""Requests of a served batch, as docs/formulation.md has them ("Requests"): who runs, and which blocks come and go."""

import numpy as np


def readable(condition, otherwise):
    if not condition:
        raise ValueError(otherwise)


class Requests:
    """Of a trace's table: `context` (tokens of the running texts before a decode step) and `running`, by decode step;
    appended(step), with the tokens written to each; ending(step), the blocks that are gone after it."""
    MOST = 1 << 26

    def __init__(self, meta):
        table, self.page, experts = meta["request_table"], meta["block_tokens"], meta["experts"]
        rows = [table[key] for key in ("prompt_tokens", "first_step", "end_step")]
        readable(all(type(row) is list and len(row) == meta["requests"] for row in rows) and
                 all(type(x) is int and 0 <= x < 1 << 32 for row in rows for x in row) and
                 type(table["has_pages"]) is bool, "the table of requests has not a number for each")
        self.rows, self.paged = list(zip(*rows)), table["has_pages"]
        readable(max(rows[0]) == meta["prompt_tokens"], "prompt_tokens is not that of the longest prompt")
        readable(all(first < end for _, first, end in self.rows), "a request decodes nothing")
        decoded = sum(end - first for _, first, end in self.rows)
        pages = sum(self.pages(prompt + end - first) for prompt, first, end in self.rows)
        self.steps = max(rows[2])
        readable(max(decoded, experts + pages, self.steps) <= self.MOST, "the table of requests is too large")
        self.running, self.context = np.zeros(self.steps, np.int64), np.zeros(self.steps, np.int64)
        self.starts, self.ends = {}, {}  # requests by decode step
        for r, (prompt, first, end) in enumerate(self.rows):
            self.running[first:end] += 1
            self.context[first:end] += np.arange(prompt, prompt + end - first)
            self.starts.setdefault(first, []).append(r)
            self.ends.setdefault(end - 1, []).append(r)
        readable(self.running.all(), "a decode step has no request")
        self.give_ids(experts)

    def pages(self, tokens):
        return -(-tokens // self.page) if self.paged else 0

    def give_ids(self, experts):
        """In order of birth; what each decode step appends is then known, too."""
        self.ids, self.by_step, now, next_id = [[] for _ in self.rows], [], [], experts
        initial = [self.pages(self.rows[r][0]) for r in self.starts[0]]
        for back in range(max(initial), 0, -1):
            for r, count in zip(self.starts[0], initial):
                if back <= count:
                    self.ids[r].append(next_id)
                    next_id += 1
        self.initial = next_id
        for step in range(self.steps):
            now = sorted(now + self.starts.get(step, []))
            written = []
            for r in now if self.paged else []:
                page = (self.rows[r][0] + step - self.rows[r][1]) // self.page
                if page == len(self.ids[r]):
                    self.ids[r].append(next_id)
                    next_id += 1
                written.append(self.ids[r][page])
            arrived = []
            for r in self.starts.get(step + 1, []):
                self.ids[r] = list(range(next_id, next_id + self.pages(self.rows[r][0])))
                next_id += len(self.ids[r])
                arrived += self.ids[r]
            self.by_step.append((sorted(written) + arrived, [1] * len(written) + [0] * len(arrived)))
            now = [r for r in now if self.rows[r][2] > step + 1]

    def appended(self, step):
        ids, tokens = self.by_step[step]
        return np.array(ids, np.int64), np.array(tokens, np.int64)

    def ending(self, step):
        return np.array(sorted(b for r in self.ends.get(step, []) for b in self.ids[r]), np.int64)

    def arriving(self, step):
        """Blocks of prompts that come to exist in a step, but are first read in the next."""
        return np.array([b for r in self.starts.get(step + 1, []) for b in self.ids[r][:self.pages(self.rows[r][0])]], np.int64)
