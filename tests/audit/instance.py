"""An instance of docs/formulation.md in exact numbers, and the text that tells kvplace the same.

Nothing here is taken from the project's code: names and rules are those of the page. Quantities of time are Fractions
of a second, sizes whole bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

Block = tuple[int, int]  # layer, id

#: Channels in the order of docs/certificate.md, "Numbers".
NEAR, LINK_READ, LINK_WRITE, FAR = range(4)

#: What a transfer loads: docs/formulation.md, "Machine".
TRANSFERS = {
    "near": (NEAR,),
    "read far": (LINK_READ, FAR),
    "write far": (LINK_WRITE, FAR),
    "promote": (NEAR, LINK_READ, FAR),
    "passive": (NEAR,),
    "demote": (NEAR, LINK_WRITE, FAR),
}


@dataclass(frozen=True)
class Record:
    """One layer of one decode step: bytes stored of each read (0: the whole block), and what is appended to; of several
    tokens, how many of them to each."""

    reads: dict[int, int]
    appended: tuple[int, ...]
    written: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layer:
    """What a layer has of its own: a page, weights; of each request a state, and index keys of each token."""

    page_bytes: int
    dense_bytes: int
    state_bytes: int
    selector_bytes: int


@dataclass(frozen=True)
class Request:
    """One of a served batch: it runs in the decode steps first ... end - 1."""

    prompt_tokens: int
    first: int
    end: int

    def runs(self, step: int) -> bool:
        """Whether it decodes a token in a decode step."""
        return self.first <= step < self.end


@dataclass(frozen=True)
class Instance:
    """Trace, machine and options; `near_capacity` is that of the whole batch, as the option has it."""

    layers: int
    steps: int
    block_tokens: int
    prompt_tokens: int
    requests: int
    experts: int
    partial: bool
    records: tuple[Record, ...]  # by k = t L + l
    page_bytes: int
    expert_bytes: int
    new_kv: bool
    batch: int
    near_capacity: int
    weight_bytes: int
    weights_near: Fraction
    bandwidth: tuple[int, int, int, int]  # bytes/s
    interference: Fraction
    flops: int  # of one token in one layer
    peak_flops: int
    overhead: Fraction
    mode: str
    barrier: str
    overlap: str
    start: str
    mirrored_reads: str
    own: tuple[Layer, ...] = ()  # by layer; page_bytes and weight_bytes are then those of none
    tokens: tuple[tuple[int, int], ...] = ()  # by decode step: verified, as many in each, and decoded
    served: tuple[Request, ...] = ()  # a served batch: as many as `requests`
    ids: tuple[tuple[int, ...], ...] = ()  # of each of them, by page

    @property
    def exclusive(self) -> bool:
        """Whether there is one copy of each block."""
        return self.mode == "exclusive"

    @property
    def capacity(self) -> int:
        """C of one request: docs/formulation.md, "Workload"."""
        return self.near_capacity // self.batch

    @property
    def initial(self) -> int:
        """Blocks of a layer before the first decode step: ids 0 to this."""
        if self.served:
            return self.experts + sum(-(-r.prompt_tokens // self.block_tokens) for r in self.served if r.first == 0)
        return self.experts + -(-self.prompt_tokens // self.block_tokens) * self.requests

    @property
    def blocks_per_layer(self) -> int:
        """The largest id of any layer, initial blocks included, + 1."""
        return max([self.initial - 1, *(b for r in self.records for b in (*r.reads, *r.appended))]) + 1

    def page(self, layer: int) -> int:
        """s of a KV page."""
        return self.own[layer].page_bytes if self.own else self.page_bytes

    @property
    def piece(self) -> int:
        """What all blocks are multiples of."""
        return math.gcd(self.expert_bytes, *map(self.page, range(self.layers)))

    @property
    def largest(self) -> int:
        """The largest block."""
        return max(self.expert_bytes, *map(self.page, range(self.layers)))

    def new_of_token(self, layer: int) -> int:
        """N: new KV of one token."""
        return -(-self.page(layer) // self.block_tokens) if self.new_kv else 0

    def new_bytes(self, k: int, b_id: int) -> int:
        """What a block gets to which step k appends."""
        record, layer = self.records[k], k % self.layers
        tokens = record.written[record.appended.index(b_id)] if record.written else 1
        return min(tokens * self.new_of_token(layer), self.page(layer))

    def running(self, step: int) -> int:
        """Requests of a served batch that decode in a step."""
        return sum(r.runs(step) for r in self.served)

    @property
    def most_running(self) -> int:
        """The most of any step; 1 where requests are alike."""
        return max(map(self.running, range(self.steps))) if self.served else 1

    def context(self, step: int) -> int:
        """Tokens of the text before a decode step; of a served batch of all texts that run."""
        if self.served:
            return sum(r.prompt_tokens + step - r.first for r in self.served if r.runs(step))
        return self.prompt_tokens + (sum(decoded for _, decoded in self.tokens[:step]) if self.tokens else step)

    def fixed_parts(self, layer: int, running: int = 1) -> list[list[int]]:
        """By channel [a, b]: a + b x context tokens bytes move in a step whatever the placement, of the whole batch."""
        weights = self.own[layer].dense_bytes if self.own else self.weight_bytes
        near = int(weights * self.weights_near)
        always = per_token = 0
        if self.own:  # index keys are read for each token verified, those of the step at hand included
            per_token = self.batch * self.requests * self.own[layer].selector_bytes * (self.tokens[0][0] if self.tokens else 1)
            always = self.batch * self.requests * self.own[layer].state_bytes + per_token
        if self.own and self.served:  # keys of each running text, and of the token that each of them decodes
            per_token = self.own[layer].selector_bytes
            always = running * (self.own[layer].state_bytes + per_token)
        return [[near + always, per_token], [weights - near, 0], [0, 0], [weights - near, 0]]

    def fixed_loads(self, k: int) -> list[int]:
        """The same in bytes of step k."""
        step = k // self.layers
        return [a + b * self.context(step) for a, b in self.fixed_parts(k % self.layers, self.running(step))]

    @property
    def floor(self) -> Fraction:
        """Seconds that the arithmetic of a step takes at least."""
        return Fraction(self.flops * self.batch, self.peak_flops) if self.flops and self.peak_flops else Fraction(0)

    @property
    def num_groups(self) -> int:
        """Times that T is taken: one per step, or per decode step with barrier token."""
        return self.steps * (1 if self.barrier == "token" else self.layers)

    @property
    def steps_per_group(self) -> int:
        """Steps whose loads are added up."""
        return self.layers if self.barrier == "token" else 1

    def group(self, k: int) -> int:
        """The group of step k."""
        return k // self.steps_per_group

    def size(self, block: Block) -> int:
        """s of a block."""
        return self.expert_bytes if block[1] < self.experts else self.page(block[0])

    def read_bytes(self, block: Block, stored: int) -> int:
        """r of a read of which the trace stores so many bytes."""
        return min(self.size(block), stored) if stored else self.size(block)

    def births(self) -> dict[Block, int]:
        """The step in which each block comes to exist; -1 for those that exist before the first."""
        born = {(l, b): -1 for l in range(self.layers) for b in range(self.initial)}
        for k, record in enumerate(self.records):
            for b in record.appended:
                born.setdefault((k % self.layers, b), k)
        return born

    def last(self, block: Block) -> int:
        """The step in which a block is read or appended to for the last time: it is gone with its request."""
        for r, ids in zip(self.served, self.ids):
            if block[1] in ids:
                return (r.end - 1) * self.layers + block[0]
        return self.layers * self.steps

    def there(self, k: int) -> list[Block]:
        """Blocks that may be near after step k."""
        return [b for b, birth in self.births().items() if birth <= k < self.last(b)]

    def near_at_start(self) -> set[Block]:
        """With start `recent` and `empty`: the newest prompt pages that fit, the same number of each layer."""
        pages = self.initial - self.experts
        row = sum(map(self.page, range(self.layers)))
        places = min(self.capacity // row, pages) if self.start == "recent" else 0
        return {(l, b) for l in range(self.layers) for b in range(self.initial - places, self.initial)}

    def config(self) -> str:
        """The file for --config: docs/configuration.md."""
        near, link_read, link_write, far = (f'"{b / 1e9:.6f}GB/s"' for b in self.bandwidth)
        return "\n".join([
            "[hardware]", 'name = "audited"', f"interference = {float(self.interference)}",
            f'step_overhead = "{float(self.overhead * 10**9):.3f}ns"',
            f'peak_flops = "{self.peak_flops / 1e12:.3f}TFLOP/s"' if self.peak_flops else "",
            "[hardware.near]", 'capacity = "1GB"', f"bandwidth = {near}",
            "[hardware.far]", 'capacity = "1TB"', f"bandwidth = {far}", f"link_read = {link_read}",
            f"link_write = {link_write}",
            "[model]", 'name = "audited"', f"layers = {self.layers}",
            f'flops_per_layer_per_step = "{self.flops / 1e6:.3f}MFLOP"' if self.flops else "",
            *(self.layer_tables() if self.own else ('kv_bytes_per_token_per_layer = "1B"', self.expert_table())),
            "[options]", f'near_capacity = "{self.near_capacity}B"', f'mode = "{self.mode}"',
            f'barrier = "{self.barrier}"', f'overlap = "{self.overlap}"', f'start = "{self.start}"',
            f'mirrored_reads = "{self.mirrored_reads}"', f"batch = {self.batch}",
            "" if self.own else f'block_bytes = "{self.page_bytes}B"\nweight_bytes_per_step = "{self.weight_bytes}B"',
            f"weights_near = {float(self.weights_near)}",
            f"new_kv = {str(self.new_kv).lower()}", ""])

    def expert_table(self) -> str:
        """Of a model with a mean layer."""
        sizes = f'count = {self.experts}\nactive = 1\nbytes_per_expert = "{self.expert_bytes}B"'
        return f"[model.experts]\n{sizes}" if self.experts else ""

    def layer_tables(self) -> list[str]:
        """Of a model layer by layer: docs/deployments.md."""
        experts = [f"experts = {self.experts}", "experts_per_token = 1", f'expert_bytes = "{self.expert_bytes}B"']
        return [f"layer.{at}.{line}" for at, own in enumerate(self.own) for line in (
            f'at = "{at}"', f'kv_bytes_per_token = "{own.page_bytes // self.block_tokens}B"',
            f'dense_weight_bytes = "{own.dense_bytes}B"', f'state_bytes_per_request = "{own.state_bytes}B"',
            f'selector_bytes_per_token = "{own.selector_bytes}B"', *(experts if self.experts else []))]
