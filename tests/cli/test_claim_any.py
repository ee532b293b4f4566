"""What certificates of the claim `any` prove, worked out by hand from docs/certificate.md; both verifiers agree.

Everywhere D = 49,000,000 ticks a second and U = 1 MB, so that far.mem's whole time is 98 ticks a unit, near.mem's 10.
"""

from __future__ import annotations

import unittest

import cert_file
from cert_file import VerifiersTest

MB = 10**6
NONE = [0, 0, 0, 0]
NEAR = [10, 0, 0, 0]
FAR = [0, 0, 0, 98]


class ClaimAny(VerifiersTest):
    def proves(self, ticks: int, channel_prices: list, row_prices: list, **more: object) -> None:
        """The certificate proves so many ticks."""
        self.write_certificate(channel_prices, row_prices, **more)
        divisor = next(d for d in range(ticks, 0, -1) if ticks % d == 0 and 49 * MB % d == 0)
        self.proven(f"{ticks // divisor}/{49 * MB // divisor}")

    def test_worked_example(self) -> None:
        """New KV of steps 0 and 1 waits for step 2, where far is free: of 610 ticks, 2 x 98 less.

        Step 0 reads blocks 0 and 1 from far, 2 x 98; step 1 block 2, 98; step 2: weights, block 5 and its new KV, 120.
        """
        self.proves(610, cert_file.CHANNEL_PRICES, [0, 0, 0])
        self.proves(610 - 2 * 98, cert_file.CHANNEL_PRICES, [0, 0, 0], claim="any")

    def test_a_promotion_over_two_steps(self) -> None:
        """Block 0 is copied in step 0, where all is free, and arrives while step 1 reads it, from far: near costs there.

        Steps 1 and 2 read it; no new KV. Step 1: weights, 10 x 10. Block 0 far in step 1 and near in step 2: with `any`
        it arrives, for its room after steps 0 and 1, 1 + 2. With `step` it is promoted after it was missed in step 1: 10,
        and room, 2. Both: less 2 places x (1 + 2). `step` also has credits. In step 0 weights and block 2 take 110 from
        near; with one block over the link, 108 (more with two): 108. In step 2 they are at 110 with none, 108 with one
        over the link, of which far.mem's price says 98: 10.
        """
        self.use_trace([[[2]], [[0]], [[0]]], 3, new_kv_bytes=[0], capacity_bytes=2 * MB)
        self.proves(100 + 3 - 6, [NONE, NEAR, FAR], [1, 2, 0], claim="any")
        self.proves(100 + 10 + 2 - 6 + 108 + 10, [NONE, NEAR, FAR], [1, 2, 0])

    def test_dropped_and_copied_again(self) -> None:
        """Between two steps of its layer a near block may be dropped in one step, and arrive again in a later one.

        Two layers; block 0 of layer 1 is near at the start and read in decode steps 0, 1 and 2: where far costs 98, near
        10, far 98. Near all the time costs 10, as does a copy after (1, 1) or (2, 0). Dropped after (0, 1) and copied
        after (1, 0), both free, it arrives while (1, 1) reads it from far, for nothing. The rest: 1 MB on far.mem whatever
        the placement, in (0, 1) and (2, 1).
        """
        self.use_trace([[[], [0]], [[], [0]], [[], [0]]], 1, new_kv_bytes=[0], start="recent", capacity_bytes=2 * MB,
                       fixed_bytes=[[[0, 0], [0, 0], [0, 0], [MB, 0]]])
        self.proves(98 + 98, [NONE, FAR, NONE, NEAR, NEAR, FAR], [0] * 6, claim="any")

    def test_a_far_write_that_waits(self) -> None:
        """Exclusive: new KV of a far block waits for the least price to come; pages of 2 tokens, no room near.

        a_W is 98, 50, 98. Block 0 is written in step 0, block 1 in steps 1 (newborn) and 2. With `any` block 0 waits for
        step 1: 50. Block 1 pays 50, or 2 x 100 for room, then 98. With `step` block 0 pays 98.
        """
        self.use_trace([[[0]], [[1]], [[1]]], 1, 2, mode="exclusive", kv_block_bytes=[2 * MB], new_kv_bytes=[MB],
                       capacity_bytes=0)
        prices = [FAR, [0, 0, 50, 0], FAR]
        self.proves(50 + 50 + 98, prices, [0, 100, 0], claim="any")
        self.proves(98 + 50 + 98, prices, [0, 100, 0])

    def test_an_odd_number_of_places_for_two(self) -> None:
        """3 places for 2 requests that may be placed differently: 2 for one of them, in the value; 1 at the start.

        Prices are of a unit of each request: far.mem 196 in step 1, near.mem 20 in step 2, where the weights' 10 MB and
        block 5, read and written, 2 x 2 MB, are 14 x 20 / 2. Block 2 is near at the start; after step 0 block 1 too, for
        step 1: room 2 x 4, less 2 places x 4. New KV waits for step 2.
        """
        prices = [NONE, [0, 0, 0, 196], [20, 0, 0, 0]]
        self.proves(140 + 8 - 8, prices, [4, 0, 0], claim="any", batch=2, start="recent")

    def test_by_layer(self) -> None:
        """Blocks of 1 MB and 2 MB; fixed traffic a + b x of each layer, x = 3 in decode step 0, 4 in decode step 1.

        (0, 0): near 1 + 3, block 3 read and written 2: 60. (0, 1): near 2 x 3, new KV 2: 80. What they write to far waits
        for nothing, as it is free there. (1, 0): new KV 98. (1, 1): far.mem 5 + 4, new KV 2: 11 x 98. Blocks that decode
        step 1 reads are copied in decode step 0, near.mem 10 a unit: 1 MB in layer 0, 2 x 2 MB in layer 1.
        """
        fixed = [[[MB, MB], [0, 0], [0, 0], [0, 0]], [[0, 2 * MB], [0, 0], [0, 0], [5 * MB, MB]]]
        self.use_trace([[[0, 3], [0]], [[1], [1, 2]]], 3, kv_block_bytes=[MB, 2 * MB], new_kv_bytes=[MB, 2 * MB],
                       fixed_bytes=fixed)
        prices = [NEAR, NEAR, FAR, FAR]
        self.proves(60 + 80 + 98 + 11 * 98 + 10 + 40, prices, [0] * 4, claim="any")


if __name__ == "__main__":
    unittest.main()
