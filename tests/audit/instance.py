"""An instance of docs/formulation.md in exact numbers, and the text that tells kvplace the same.

Nothing here is taken from the project's code: names and rules are those of the page. Quantities of time are Fractions
of a second, sizes whole bytes.
"""

from __future__ import annotations

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
    """One layer of one decode step: bytes stored of each read (0: the whole block), and what is appended to."""

    reads: dict[int, int]
    appended: tuple[int, ...]


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
        return self.experts + -(-self.prompt_tokens // self.block_tokens) * self.requests

    @property
    def blocks_per_layer(self) -> int:
        """The largest id of any layer, initial blocks included, + 1."""
        return max([self.initial - 1, *(b for r in self.records for b in (*r.reads, *r.appended))]) + 1

    @property
    def new_bytes(self) -> int:
        """N: new KV of one appended block."""
        return -(-self.page_bytes // self.block_tokens) if self.new_kv else 0

    @property
    def weight_loads(self) -> tuple[int, int, int, int]:
        """Bytes of weights on each channel in a step, of the whole batch."""
        near = int(self.weight_bytes * self.weights_near)
        return near, self.weight_bytes - near, 0, self.weight_bytes - near

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
        return self.expert_bytes if block[1] < self.experts else self.page_bytes

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

    def near_at_start(self) -> set[Block]:
        """With start `recent` and `empty`: the newest prompt pages that fit, the same number of each layer."""
        pages = self.initial - self.experts
        places = min(self.capacity // self.layers // self.page_bytes, pages) if self.start == "recent" else 0
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
            "[model]", 'name = "audited"', f"layers = {self.layers}", 'kv_bytes_per_token_per_layer = "1B"',
            f'flops_per_layer_per_step = "{self.flops / 1e6:.3f}MFLOP"' if self.flops else "",
            f'[model.experts]\ncount = {self.experts}\nactive = 1\nbytes_per_expert = "{self.expert_bytes}B"'
            if self.experts else "",
            "[options]", f'near_capacity = "{self.near_capacity}B"', f'mode = "{self.mode}"',
            f'barrier = "{self.barrier}"', f'overlap = "{self.overlap}"', f'start = "{self.start}"',
            f'mirrored_reads = "{self.mirrored_reads}"', f"batch = {self.batch}", f'block_bytes = "{self.page_bytes}B"',
            f'weight_bytes_per_step = "{self.weight_bytes}B"', f"weights_near = {float(self.weights_near)}",
            f"new_kv = {str(self.new_kv).lower()}", ""])
