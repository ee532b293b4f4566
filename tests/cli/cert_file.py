"""Certificate files written independently of the command, from docs/certificate.md, and both verifiers' word on them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import struct
import subprocess
import sys

import cli
from kvs_file import xxh64

sys.path.insert(0, str(cli.SOURCE_DIR / "tools"))
import verify_certificate  # noqa: E402


def second_verifier(folder: str, trace: object, certificate: object) -> tuple[int, str, str]:
    """Its exit code and what it prints; in this process, as it starts up longer than it works."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = verify_certificate.main([str(trace), str(certificate)])
    return code, out.getvalue(), err.getvalue()


def plain(head: dict) -> bytes:
    """The head as the format has it."""
    return json.dumps(head, separators=(",", ":")).encode()


def compressed(data: bytes, *options: str) -> bytes:
    """One zstd frame."""
    return subprocess.run(["zstd", "-qc", *options], input=data, check=True, capture_output=True).stdout


def price_words(channel_prices: list[list[int]], row_prices: list[int]) -> bytes:
    """channel_prices[group][channel], row_prices[step]."""
    words = [prices[channel] for channel in range(4) for prices in channel_prices] + row_prices
    return struct.pack(f"<{len(words)}Q", *words)


def certificate(head: bytes, stored: bytes, version: int = 3) -> bytes:
    """The file of a head and of stored prices, whatever they are; checksums are right."""
    front = b"\x89KVC\r\n\x1a\n" + struct.pack("<II", version, len(head)) + head
    back = struct.pack("<Q", len(stored)) + stored
    return front + struct.pack("<Q", xxh64(front)) + back + struct.pack("<Q", xxh64(back))


def of_version_2(head: dict) -> dict:
    """A head that version 2 can say, as it says it."""
    old = {"weight_bytes" if key == "fixed_bytes" else key: value for key, value in head.items() if key != "claim"}
    for key in ("kv_block_bytes", "new_kv_bytes"):
        old[key], = head[key]
    old["weight_bytes"] = [a for a, _ in head["fixed_bytes"][0]]
    old["capacity_bytes"] = head["capacity_bytes"] // head["batch"]
    return old


# The worked example of docs/formulation.md; its certificate in docs/certificate.md.
ROWS = [[[0, 1, 3]], [[1, 2, 4]], [[0, 1, 5]]]
HEAD = {"claim": "step", "mode": "inclusive", "barrier": "layer", "overlap": "full", "start": "empty",
        "mirrored_reads": "near", "layers": 1, "steps": 3, "blocks_per_layer": 6, "batch": 1,
        "kv_block_bytes": [10**6], "expert_block_bytes": 0, "new_kv_bytes": [10**6], "capacity_bytes": 3 * 10**6,
        "fixed_bytes": [[[10**7, 0], [0, 0], [0, 0], [0, 0]]],
        "bandwidth_bytes_per_second": [4900 * 10**9, 450 * 10**9, 450 * 10**9, 500 * 10**9], "interference_2_20": 0,
        "floor_units": 0, "overhead_units": 0, "ticks_per_second": 49 * 10**6, "unit_bytes": 10**6, "start_price": 0,
        "made_by": "a test"}
CHANNEL_PRICES = [[0, 0, 0, 98], [0, 0, 0, 98], [10, 0, 0, 0]]
ROW_PRICES = [0, 0, 0]


class VerifiersTest(cli.CliTest):
    """A test with the worked example's trace, or another, and certificates of it."""

    def setUp(self) -> None:
        super().setUp()
        self.use_trace(ROWS, 3)

    def use_trace(self, rows: cli.Rows, prompt_tokens: int, block_tokens: int = 1, **more: object) -> None:
        """Certificates are of this trace from now on; `more` is other in their heads than in the worked example."""
        self.trace = self.make_trace("t.kvt", rows, prompt_tokens, block_tokens)
        info = self.json("info", self.trace)
        self.head = {"trace_digest": info["manifest"]["digest"], **copy.deepcopy(HEAD), "layers": len(rows[0]),
                     "steps": len(rows), "blocks_per_layer": info["blocks"], **more}

    def write_certificate(self, channel_prices: list = CHANNEL_PRICES, row_prices: list = ROW_PRICES, **more: object) -> str:
        head = {**self.head, **more}
        stored = compressed(price_words(channel_prices, row_prices))
        return self.write("c.cert", certificate(plain(head), stored, 3 if "claim" in head else 2))

    def in_python(self, trace: object, certificate: object) -> tuple[int, str, str]:
        return second_verifier(self.folder, trace, certificate)

    def proven(self, exact: str, decimal: str | None = None) -> None:
        """Both verifiers find this bound proven."""
        answer = self.json("verify", self.trace, "c.cert")
        decimal = decimal or answer["bound_decimal"]
        self.assertEqual((answer["valid"], answer["bound_exact"], answer["bound_decimal"], answer["reason"]),
                         (True, exact, decimal, ""))
        self.assertAlmostEqual(answer["bound_s"], float(decimal), delta=1e-15 * float(decimal))
        self.assertEqual(self.in_python(self.trace, "c.cert"), (0, f"{exact}\n{decimal}\n", ""))
        text = self.ok("verify", self.trace, "c.cert")
        self.assertIn(decimal, text)
        self.assertIn(exact, text)

    def rejected(self, reason: str = "") -> None:
        """Both verifiers reject the certificate, and say so rather than crash."""
        ran = self.run_cli("verify", self.trace, "c.cert", "--json")
        self.assertEqual(ran.code, cli.REJECTED, ran)
        answer = json.loads(ran.out)
        self.assertEqual((answer["valid"], answer["bound_s"], answer["bound_exact"]), (False, None, None))
        self.assertIn(reason, answer["reason"])
        self.refused(self.run_cli("verify", self.trace, "c.cert"), cli.REJECTED, reason)
        code, out, err = self.in_python(self.trace, "c.cert")
        self.assertEqual((code, out, err.count("\n")), (cli.REJECTED, "", 1), err)
        self.assertTrue(err.startswith("rejected: c.cert: "), err)
