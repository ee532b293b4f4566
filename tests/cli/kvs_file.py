"""A schedule file (.kvs) written independently of the command, so that tests can make ones no policy would."""

from __future__ import annotations

import json
import struct
import subprocess

from xxhash import xxh64_intdigest as xxh64


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first."""
    out = bytearray()
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes([*out, value])


def block_set(blocks: list[int]) -> bytes:
    """Count, then the gaps of the ascending block indices."""
    out, following = varint(len(blocks)), 0
    for block in sorted(blocks):
        out += varint(block - following)
        following = block + 1
    return out


def schedule(digest: str, layers: int, blocks_per_layer: int, start: list[int],
             steps: list[tuple[list[int], list[int]]], /, **more: object) -> bytes:
    """A schedule: what is near at the start, then (promoted, evicted) of each layer of each decode step.

    `more` overrides the metadata.
    """
    meta = {"trace_digest": digest, "layers": layers, "steps": len(steps) // layers,
            "blocks_per_layer": blocks_per_layer,
            "mode": "inclusive", "made_by": "a test", **more}
    text = json.dumps(meta).encode()
    head = b"\x89KVS\r\n\x1a\n" + struct.pack("<II", 1, len(text)) + text
    piece = block_set(start) + b"".join(block_set(promoted) + block_set(evicted) for promoted, evicted in steps)
    stored = subprocess.run(["zstd", "-qc"], input=piece, check=True, capture_output=True).stdout
    return head + struct.pack("<Q", xxh64(head)) + struct.pack("<QQQ", len(piece), len(stored), xxh64(stored)) + stored
