"""The project's files, written from their pages: traces (docs/trace_format.md), schedules (docs/schedule_format.md) and
certificates (docs/certificate.md, "The file")."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

import xxhash
from instance import Block, Instance

Head = dict[str, Any]


def zstd_frame(data: bytes) -> bytes:
    """A zstd frame that compresses nothing: raw blocks of at most 128 KiB (RFC 8878, 3.1.1)."""
    pieces = [data[at:at + (1 << 17)] for at in range(0, len(data), 1 << 17)] or [b""]
    frame = struct.pack("<IBI", 0xFD2FB528, 0xA0, len(data))
    for piece in pieces:
        frame += (len(piece) << 3 | (piece is pieces[-1])).to_bytes(3, "little") + piece
    return frame


def checked(data: bytes) -> bytes:
    """Bytes, and behind them their checksum."""
    return data + struct.pack("<Q", xxhash.xxh64_intdigest(data))


def text_of(fields: Head) -> str:
    """A JSON head without white space, its keys in their order."""
    return json.dumps(fields, separators=(",", ":"))


def head_of(magic: bytes, version: int, head: str) -> bytes:
    """Magic, version, length and text of a file's JSON head, and its checksum."""
    text = head.encode()
    return checked(magic + b"\r\n\x1a\n" + struct.pack("<II", version, len(text)) + text)


def varint(value: int) -> bytes:
    """Seven bits a byte, low ones first."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def gaps(ids: Iterable[int]) -> bytes:
    """Ascending ids as gaps."""
    out, following = b"", 0
    for i in ids:
        out += varint(i - following)
        following = i + 1
    return out


def zigzag(value: int) -> int:
    """Signed as unsigned."""
    return value << 1 ^ value >> 63


def request_table(i: Instance) -> Head:
    """Of a served batch."""
    columns = zip(*((r.prompt_tokens, r.first, r.end) for r in i.served))
    return {**dict(zip(("prompt_tokens", "first_step", "end_step"), map(list, columns))), "has_pages": True}


def trace(instance: Instance) -> bytes:
    """The instance's trace, one chunk."""
    i, reads_total = instance, sum(len(r.reads) for r in instance.records)
    needs = {"needs": ["tokens"]} if i.tokens else {"needs": ["requests"]} if i.served else {}
    head = head_of(b"\x89KVT", 2 if needs else 1, text_of({
        **needs, **({"request_table": request_table(i)} if i.served else {}), "layers": i.layers, "prompt_tokens": i.prompt_tokens, "block_tokens": i.block_tokens, "requests": i.requests,
        "experts": i.experts, "block_bytes": None, "has_ranking": False, "has_read_bytes": i.partial, "model": "",
        "selection": "", "source": "the audit"}))
    sets, lists, sizes, counts, last = b"", b"", b"", b"", 0
    before: list[set[int]] = [set() for _ in range(i.layers)]
    words = [i.layers, i.experts, i.requests, i.block_tokens, i.prompt_tokens, 0, int(i.partial),
             *(x for r in i.served for x in (r.prompt_tokens, r.first, r.end))]
    for k, record in enumerate(i.records):
        ids = sorted(record.reads)
        changed = sorted(before[k % i.layers] ^ set(ids))
        before[k % i.layers] = set(ids)
        sets += varint(2 * len(changed)) + gaps(changed)
        lists += varint(len(record.appended))
        previous = last
        for b in record.appended:
            lists += varint(zigzag(b - previous))
            previous = b
        last = record.appended[0] if record.appended else last
        stored = [record.reads[b] for b in ids] if i.partial else []
        sizes += b"".join(map(varint, stored))
        words += [len(ids), len(record.appended), 0, *ids, *record.appended, *stored]
        if i.tokens:
            of_step = i.tokens[k // i.layers] if k % i.layers == 0 else ()
            counts += b"".join(map(varint, (*of_step, *record.written)))
            words += [*reversed(of_step), *record.written]
    streams = [*([counts] if i.tokens else []), sets, lists, b"", sizes]
    payload = struct.pack(f"<{len(streams)}Q", *map(len, streams)) + b"".join(streams)
    body = zstd_frame(payload)
    front = struct.pack("<4I3Q", 0x4B4E4843, 0, i.steps, i.blocks_per_layer, reads_total, len(payload), len(body))
    check = xxhash.xxh64_intdigest(body, seed=xxhash.xxh64_intdigest(front))
    chunk = front + struct.pack("<Q", check) + body
    digest = xxhash.xxh3_128_intdigest(struct.pack(f"<{len(words)}I", *words)).to_bytes(16, "little")
    footer = struct.pack("<IQQIIQ", 0x544F4F46, 1, len(head), 0, i.steps, reads_total)
    footer += b"".join(struct.pack("<2H", *tokens) for tokens in i.tokens)
    footer += struct.pack("<IIQ", i.steps, i.blocks_per_layer, reads_total) + digest
    return head + chunk + checked(footer) + struct.pack("<Q", len(head) + len(chunk)) + b"KVT-END\n"


def certificate(head: str, channel_prices: Sequence[Sequence[int]], row_prices: Sequence[int], version: int) -> bytes:
    """A text as the head, channel_prices[channel][group], row_prices[step]."""
    words = [price for prices in channel_prices for price in prices] + list(row_prices)
    body = zstd_frame(struct.pack(f"<{len(words)}Q", *words))
    return head_of(b"\x89KVC", version, head) + checked(struct.pack("<Q", len(body)) + body)


def read_certificate(data: bytes) -> tuple[int, Head, list[list[int]], list[int]]:
    """Version, head, prices by channel and group, prices by row."""
    version, length = struct.unpack_from("<II", data, 8)
    head = json.loads(data[16:16 + length])
    frame = data[16 + length + 16:-8]
    plain = subprocess.run(["zstd", "-qdc"], input=frame, capture_output=True, check=True).stdout
    words = list(struct.unpack(f"<{len(plain) // 8}Q", plain))
    rows = head["steps"] * head["layers"]
    groups = (len(words) - rows) // 4
    return version, head, [words[c * groups:(c + 1) * groups] for c in range(4)], words[4 * groups:]


def block_list(ids: Iterable[int]) -> bytes:
    """Ids in the order given, as steps from one to the next."""
    out, following = b"", 0
    for i in ids:
        step = i - following
        out += varint(2 * step if step >= 0 else -2 * step - 1)
        following = i + 1
    return out


def background_schedule(instance: Instance, digest: str, start: Iterable[Block],
                        moves: Iterable[tuple[Iterable[Block], Iterable[Block]]]) -> bytes:
    """A schedule, of version 2: what is near at the start, then what each step issues, in order, and evicts."""
    width = instance.blocks_per_layer

    def ids(blocks: Iterable[Block]) -> list[int]:
        return [l * width + b for l, b in blocks]

    piece = varint(len(ids(start))) + gaps(sorted(ids(start)))
    for issued, evicted in moves:
        piece += varint(len(ids(issued))) + block_list(ids(issued))
        piece += varint(len(ids(evicted))) + gaps(sorted(ids(evicted)))
    body = zstd_frame(piece)
    return head_of(b"\x89KVS", 2, text_of({
        "trace_digest": digest, "layers": instance.layers, "steps": instance.steps, "blocks_per_layer": width,
        "mode": instance.mode, "copies": "background", "made_by": "the audit"})) + struct.pack(
            "<QQQ", len(piece), len(body), xxhash.xxh64_intdigest(body)) + body


def schedule(instance: Instance, digest: str, placements: Sequence[set[Block]]) -> bytes:
    """A schedule: what is near at the start, then after each step."""
    width = instance.blocks_per_layer

    def block_set(blocks: Iterable[Block]) -> bytes:
        ids = sorted(l * width + b for l, b in blocks)
        return varint(len(ids)) + gaps(ids)

    head = head_of(b"\x89KVS", 1, text_of({
        "trace_digest": digest, "layers": instance.layers, "steps": instance.steps, "blocks_per_layer": width,
        "mode": instance.mode, "made_by": "the audit"}))
    piece = block_set(placements[0])
    for k, (before, after) in enumerate(zip(placements, placements[1:])):
        piece += block_set(after - before) + block_set(b for b in before - after if k < instance.last(b))
    body = zstd_frame(piece)
    return head + struct.pack("<QQQ", len(piece), len(body), xxhash.xxh64_intdigest(body)) + body
