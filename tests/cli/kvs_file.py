"""A schedule file (.kvs) written independently of the command, so that tests can make ones no policy would."""

from __future__ import annotations

import json
import struct
import subprocess

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579,
                      2870177450012600261)


def rotate(x: int, by: int) -> int:
    """64 bits, rotated to the left."""
    return (x << by | x >> (64 - by)) & MASK


def scramble(accumulator: int, lane: int) -> int:
    """XXH64's round."""
    return rotate((accumulator + lane * P2) & MASK, 31) * P1 & MASK


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0."""
    at, size = 0, len(data)
    if size >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        while at + 32 <= size:
            words = struct.unpack_from("<4Q", data, at)
            lanes = [scramble(lane, word) for lane, word in zip(lanes, words)]
            at += 32
        h = sum(rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            h = ((h ^ scramble(0, lane)) * P1 + P4) & MASK
    else:
        h = P5
    h = (h + size) & MASK
    while at + 8 <= size:
        h = (rotate(h ^ scramble(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= size:
        h = (rotate(h ^ (struct.unpack_from("<I", data, at)[0] * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ (byte * P5 & MASK), 11) * P1 & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


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
