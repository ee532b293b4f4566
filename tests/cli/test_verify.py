"""Certificates: what is proven, by the command and by the verifier in Python, and what is rejected."""

from __future__ import annotations

import json
import pathlib
import unittest

import cli
from cert_file import CHANNEL_PRICES, HEAD, ROW_PRICES, VerifiersTest, of_version_2


class Verify(VerifiersTest):
    def test_worked_example(self) -> None:
        self.write_certificate()
        self.proven("61/4900000", "0.0000124489795918367346")
        instance = ["--block-bytes", "1MB", "--weight-bytes-per-step", "10MB", "--start", "empty", "--near-capacity",
                    "3MB"]
        best = self.json("compare", self.trace, *instance, "--policy", "belady")["results"][0]["total_s"]
        self.assertLessEqual(self.json("verify", self.trace, "c.cert")["bound_s"], best)

    def test_the_instance_is_shown(self) -> None:
        self.write_certificate()
        answer = self.json("verify", self.trace, "c.cert")
        self.assertEqual(answer["certificate"], self.head)
        text = self.ok("verify", self.trace, "c.cert")
        for part in (self.head["trace_digest"], "near.mem 4.9TB/s", "far.mem 500GB/s", "3000000 B", "start empty"):
            self.assertIn(part, text)

    def test_every_number_is_shown(self) -> None:
        """A head that differs in any number differs in the text, so that no change goes unseen."""
        self.head.update(batch=2, interference_2_20=262144, floor_units=7, overhead_units=2**40)
        self.write_certificate(CHANNEL_PRICES, ROW_PRICES)
        ran = self.run_cli("verify", self.trace, "c.cert")
        self.assertEqual(ran.code, 0, ran)
        for part in ("interference 0.25, floor 7/2^60 s", f"overhead {2**40}/2^60 s", "batch 2",
                     "near.mem 10000000 B, far.link_read 0 B, far.link_write 0 B, far.mem 0 B"):
            self.assertIn(part, ran.out)
        shown = {ran.out.split("exactly")[1].split("\n", 1)[1]}
        changes = [{"fixed_bytes": [[[10**7 - 1, 0], [1, 0], [0, 0], [0, 0]]]},
                   {"fixed_bytes": [[[10**7, 1], [0, 0], [0, 0], [0, 0]]]}, {"interference_2_20": 262145}, {"floor_units": 8},
                   {"overhead_units": 2**40 + 1}, {"capacity_bytes": 3 * 10**6 + 1}]
        for change in changes:
            self.write_certificate(CHANNEL_PRICES, ROW_PRICES, **change)
            ran = self.run_cli("verify", self.trace, "c.cert")
            self.assertEqual(ran.code, 0, (change, ran))
            shown.add(ran.out.split("exactly")[1].split("\n", 1)[1])
        self.assertEqual(len(shown), 1 + len(changes))

    def test_the_instance_that_is_meant(self) -> None:
        self.write_certificate()
        meant = {"--block-bytes": "1MB", "--weight-bytes-per-step": "10MB", "--start": "empty", "--near-capacity": "3MB"}

        def flags(**changed: str) -> list[str]:
            named = meant | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
            return [part for flag in named.items() for part in flag]

        self.assertEqual(self.ok("verify", self.trace, "c.cert", *flags()), self.ok("verify", self.trace, "c.cert"))
        for key, changed in (("capacity_bytes (3000000 there, 4000000 here)", {"near_capacity": "4MB"}),
                             ("fixed_bytes", {"weight_bytes_per_step": "9MB"}), ("start", {"start": "recent"}),
                             ("kv_block_bytes", {"block_bytes": "2MB"}), ("barrier", {"barrier": "token"}),
                             ("bandwidth_bytes_per_second", {"set": "hardware.far.link_read=400GB/s"})):
            with self.subTest(key=key):
                ran = self.run_cli("verify", self.trace, "c.cert", *flags(**changed))
                self.refused(ran, cli.REJECTED, "c.cert: the certificate speaks about another instance: ", key)
        ran = self.run_cli("verify", self.trace, "c.cert", *flags(batch="2"), "--json")
        self.assertEqual(ran.code, cli.REJECTED)
        self.assertIn("batch (1 there, 2 here)", json.loads(ran.out)["reason"])
        self.refused(self.run_cli("verify", self.trace, "c.cert", "--near-capacity", "3"), cli.BAD_INPUT, "unit")

    def test_what_is_not_valid_is_rejected(self) -> None:
        self.write_certificate([[0, 0, 0, 99], *CHANNEL_PRICES[1:]])
        self.rejected("group 0 claim more")
        for reason, more in (("another trace", {"trace_digest": "0" * 32}), ("not the trace's", {"blocks_per_layer": 7}),
                             ("unit_bytes", {"unit_bytes": 3}), ("batch", {"batch": 0}),
                             ("start_price", {"start_price": -1}), ("initial placement", {"start_price": 1}),
                             ("new_kv_bytes", {"new_kv_bytes": 10**6 + 1}), ("mode", {"mode": "both"}),
                             ("floor_units", {"floor_units": 0.5}),
                             ("2^100", {"ticks_per_second": 2**64 - 1, "batch": 2**30}),
                             ("fixed_bytes", {"fixed_bytes": [[[0, 0]] * 3]}), ("by layer", {"kv_block_bytes": [10**6] * 2}),
                             ("not written as", {"more": 1}), ("claim", {"claim": "none"}),
                             ("2^63 bytes", {"fixed_bytes": [[[2**63 - 1, 0], [0, 0], [0, 0], [0, 0]]]}),
                             ("2^63 bytes", {"fixed_bytes": [[[0, 2**62], [0, 0], [0, 0], [0, 0]]]})):
            with self.subTest(reason=reason):
                self.write_certificate(**more)
                self.rejected(reason)
        self.write_certificate(row_prices=[2**62, 0, 0])
        self.rejected("may overflow")
        self.write_certificate(row_prices=[0, 0])
        self.rejected("not as many")

    def test_damaged_files(self) -> None:
        whole = pathlib.Path(self.path(self.write_certificate())).read_bytes()
        for reason, data in (("is not a certificate", b"hello"), ("head is damaged", whole[:300]),
                             ("its end", whole[:-1]), ("its end", whole + b"\0"),
                             ("prices are damaged", whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]),
                             ("version 9", whole[:8] + b"\x09" + whole[9:])):
            with self.subTest(reason=reason):
                pathlib.Path(self.path("c.cert")).write_bytes(data)
                self.rejected(reason)

    def test_what_cannot_be_read_is_bad_input(self) -> None:
        self.write_certificate()
        for named, *arguments in (("none.kvt", "none.kvt", "c.cert"), ("none.cert", self.trace, "none.cert"),
                                  ("c.cert", "c.cert", "c.cert")):
            with self.subTest(arguments=arguments):
                self.refused(self.run_cli("verify", *arguments, "--json"), cli.BAD_INPUT, named)
                self.assertEqual(self.in_python(*arguments)[0], cli.BAD_INPUT)

    def test_version_2(self) -> None:
        """Certificates that older programs wrote prove what they did."""
        self.head = of_version_2(self.head)
        self.write_certificate()
        self.proven("61/4900000", "0.0000124489795918367346")
        self.head["capacity_bytes"] = 2**62
        self.write_certificate()
        self.proven("61/4900000")
        self.write_certificate(batch=2)  # of one request: for both it is too much
        self.rejected("capacity_bytes")

    def test_both_verifiers_agree_on_pages(self) -> None:
        """All of each decode step's time on one channel by turns; exclusive mode, a batch, pages of several tokens."""
        layers, steps = 3, 40
        self.use_trace(cli.random_rows(7, layers, steps, 30, 4), 30, 4, kv_block_bytes=[4096], new_kv_bytes=[1024],
                       unit_bytes=1024, capacity_bytes=12 * layers * 4096, batch=3, mode="exclusive", barrier="token",
                       start="recent", ticks_per_second=10**12)
        prices = [[0, 0, 0, 0] for _ in range(steps)]
        for t, price in enumerate(prices):
            channel = (t * 7 // 5) % 4
            price[channel] = 10**12 * 1024 * 3 // HEAD["bandwidth_bytes_per_second"][channel]
        rows = [t % 3 for t in range(steps * layers)]
        self.write_certificate(prices, rows)
        answer = self.json("verify", self.trace, "c.cert")
        self.assertGreater(answer["bound_s"], 0)
        self.proven(answer["bound_exact"], answer["bound_decimal"])
        self.head = of_version_2(self.head)
        self.write_certificate(prices, rows)
        self.proven(answer["bound_exact"], answer["bound_decimal"])


if __name__ == "__main__":
    unittest.main()
