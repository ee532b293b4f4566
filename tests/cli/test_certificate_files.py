"""Certificate files that are not as the format has them: both verifiers reject each, with checksums that are right."""

from __future__ import annotations

import re
import struct
import unittest

import cert_file
import cli
import numpy as np
from cert_file import CHANNEL_PRICES, ROW_PRICES, VerifiersTest, compressed, of_version_2, plain

WORDS = cert_file.price_words(CHANNEL_PRICES, ROW_PRICES)
SKIPPABLE = struct.pack("<II", 0x184D2A50, 4) + b"abcd"


def frame(descriptor: int, fields: bytes, *blocks: bytes, last: bool = True) -> bytes:
    """A zstd frame of raw blocks, without a checksum (RFC 8878)."""
    headers = [(len(block) << 3 | (last and i + 1 == len(blocks))).to_bytes(3, "little") for i, block in enumerate(blocks)]
    return b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + fields + b"".join(h + b for h, b in zip(headers, blocks))


def declaring(size: int) -> bytes:
    """The prices in a frame that says it has so many bytes."""
    return frame(0xE0, struct.pack("<Q", size), WORDS)


class CertificateFiles(VerifiersTest):
    def write_head(self, text: bytes, version: int = 3) -> None:
        self.write("c.cert", cert_file.certificate(text, compressed(WORDS), version))

    def test_heads_that_are_not_plain(self) -> None:
        text = plain(self.head)
        batch, made_by = b'"batch":1,', b'"made_by":"a test"'

        def instead(old: bytes, new: bytes) -> bytes:
            self.assertEqual(text.count(old), 1)
            return text.replace(old, new)

        heads = {
            "blanks": text.replace(b",", b", "), "a line end": text + b"\n", "a blank before": b" " + text,
            "another order": plain(dict(reversed(self.head.items()))),
            "a key twice": instead(batch, batch + batch),
            "a key twice, at the end": text[:-1] + b',"claim":"any"}',
            "a key less": plain({key: value for key, value in self.head.items() if key != "made_by"}),
            "a key more": text[:-1] + b',"more":1}',
            "-0": instead(b'"start_price":0', b'"start_price":-0'), "1e0": instead(batch, b'"batch":1e0,'),
            "1.0": instead(batch, b'"batch":1.0,'), "01": instead(batch, b'"batch":01,'), "+1": instead(batch, b'"batch":+1,'),
            "a text": instead(batch, b'"batch":"1",'), "true": instead(batch, b'"batch":true,'),
            "null": instead(batch, b'"batch":null,'), "a list": instead(batch, b'"batch":[1],'),
            "2^64": instead(batch, b'"batch":%d,' % 2**64), "5,000 digits": instead(batch, b'"batch":1' + b"0" * 5000 + b","),
            "no list": instead(b'"kv_block_bytes":[1000000]', b'"kv_block_bytes":1000000'),
            "an empty list": instead(b'"kv_block_bytes":[1000000]', b'"kv_block_bytes":[]'),
            "pairs of one": text.replace(b"[0,0]", b"[0]"), "pairs of three": text.replace(b"[0,0]", b"[0,0,0]"),
            "bytes behind": text + b"{}", "a zero byte behind": text + b"\0", "a comma too many": text[:-1] + b",}",
            "UTF-8 mark": b"\xef\xbb\xbf" + text, "nothing": b"", "no object": b"[]", "an empty one": b"{}",
            "nested deep": instead(batch, b'"batch":' + b"[" * 200_000 + b"]" * 200_000 + b","),
            "nested deep and open": b"[" * 200_000, "objects nested deep": b'{"a":' * 100_000,
            "upper case": plain({**self.head, "trace_digest": self.head["trace_digest"].upper()}),
            "1,001 characters": instead(made_by, b'"made_by":"%s"' % (b"x" * 1001)),
            "an escape": instead(made_by, b'"made_by":"\\u0061 test"'), "an escaped quote": instead(made_by, b'"made_by":"\\""'),
            "a control character": instead(made_by, b'"made_by":"\x1f"'), "0x7f": instead(made_by, b'"made_by":"\x7f"'),
            "not ASCII": instead(made_by, '"made_by":"\u00e4"'.encode()), "no UTF-8": instead(made_by, b'"made_by":"\xff"'),
            **{encoding: text.decode().encode(encoding) for encoding in ("utf-16", "utf-16-be", "utf-32-le")},
        }
        for what, head in heads.items():
            with self.subTest(what):
                self.write_head(head)
                self.rejected()
        self.write_head(instead(made_by, b'"made_by":"%s"' % (b"~!#[]{} " * 125)))
        self.proven("61/4900000")

    def test_heads_of_version_2(self) -> None:
        old = of_version_2(self.head)
        for what, head in (("blanks", plain(old).replace(b",", b", ")), ("another order", plain(dict(reversed(old.items())))),
                           ("version 3", plain(self.head)), ("a claim", plain({**old, "claim": "step"})),
                           ("by layer", plain({**old, "kv_block_bytes": [10**6]}))):
            with self.subTest(what):
                self.write_head(head, version=2)
                self.rejected()
        self.write_head(plain(old))
        self.rejected()
        for version in (0, 1, 4):
            self.write_head(plain(self.head), version)
            self.rejected(f"version {version}")

    def test_prices_that_are_not_one_frame(self) -> None:
        whole = compressed(WORDS)
        stored = {
            "two frames": compressed(WORDS[:8]) + compressed(WORDS[8:]), "an empty one behind": whole + compressed(b""),
            "an empty one before": compressed(b"") + whole, "skippable before": SKIPPABLE + whole,
            "skippable behind": whole + SKIPPABLE, "skippable alone": SKIPPABLE, "a byte behind": whole + b"\0",
            "checksum cut off": whole[:-4], "checksum wrong": whole[:-1] + bytes([whole[-1] ^ 1]), "nothing": b"",
            "not compressed": WORDS, "a word less": compressed(WORDS[:-8]), "a word more": compressed(WORDS + bytes(8)),
            "a byte more": compressed(WORDS + b"\0"), "2^28 zeros": compressed(bytes(1 << 28)),
            "declares 2^60": declaring(1 << 60), "declares 2^64 - 1": declaring((1 << 64) - 1),
            "declares less": declaring(len(WORDS) - 8), "declares more": declaring(len(WORDS) + 8),
            "a window of 256 MiB": frame(0, bytes([28 - 10 << 3]), WORDS),
            "a window of 3.75 TiB": frame(0, b"\xff", WORDS), "no last block": frame(0, b"\0", WORDS, last=False),
            "a dictionary": frame(1, b"\0\7", WORDS), "a reserved bit": frame(8, b"\0", WORDS),
        }
        for what, data in stored.items():
            with self.subTest(what):
                self.write("c.cert", cert_file.certificate(plain(self.head), data))
                self.rejected()
        for data in (declaring(len(WORDS)), frame(0, b"\0", WORDS[:40], WORDS[40:]), compressed(WORDS, "--no-check"),
                     frame(0, bytes([27 - 10 << 3]), WORDS)):
            self.write("c.cert", cert_file.certificate(plain(self.head), data))
            self.proven("61/4900000")

    def test_a_trace_whose_contents_are_others(self) -> None:
        """Its footer names the digest of another trace, with a checksum that is right; and so does the certificate."""
        self.write_certificate()
        trace = self.read("t.kvt")
        at, = struct.unpack_from("<Q", trace, len(trace) - 16)
        digest = bytes.fromhex(self.head["trace_digest"])
        end = trace.index(digest, at) + 16
        other = trace[at:end - 1] + bytes([trace[end - 1] ^ 1])
        self.write("t.kvt", trace[:at] + other + struct.pack("<Q", cert_file.xxh64(other)) + trace[end + 8:])
        self.rejected("another trace")
        self.write_certificate(trace_digest=other[-16:].hex())
        self.rejected("digest")

    def test_rankings_are_digested(self) -> None:
        """Of ranks that change from step to step or stay, with ids that come and go."""
        rng = np.random.default_rng(5)
        ranks = np.array([[rng.permutation(40)[:24] for _ in range(2)] for _ in range(30)], np.int32)
        ranks[10:20] = ranks[10]
        np.save(self.path("r.npy"), ranks)
        self.ok("import", "r.npy", "-o", "t.kvt", "--format", "topk-npy", "--read", 6, "--prompt-tokens", 40)
        info = self.json("info", "t.kvt")
        self.assertTrue(info["ranks"])
        self.head.update(trace_digest=info["manifest"]["digest"], layers=2, steps=30, blocks_per_layer=info["blocks"])
        self.write_certificate([[10, 0, 0, 0]] * 60, [0] * 60)
        answer = self.json("verify", "t.kvt", "c.cert")
        self.assertRegex(answer["bound_exact"], re.compile(r"^[1-9]\d*/\d+$"))
        self.proven(answer["bound_exact"])


if __name__ == "__main__":
    unittest.main()
