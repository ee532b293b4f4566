"""Reads a certificate (.cert), as docs/certificate.md has it: what can be said of it without its trace's contents."""

import json
import pathlib
import re
import struct

import numpy as np

from trace_file import UNREADABLE, decompress, read_head, xxh64


class Rejected(Exception):
    """The certificate proves nothing; exit code 4."""


def require(condition, otherwise):
    if not condition:
        raise Rejected(otherwise)


# The head's one plain form: keys, in their order, and what their values look like.
NUMBER = "(?:0|[1-9][0-9]{0,19})"
CHOICE = '"(?:{})"'.format
LIST = lambda of, more="*": rf"\[{of}(?:,{of}){more}\]"
FOUR, PAIR = LIST(NUMBER, "{3}"), LIST(NUMBER, "{1}")
HEAD = {"trace_digest": '"[0-9a-f]{32}"', "claim": CHOICE("step|any"), "mode": CHOICE("inclusive|exclusive"),
        "barrier": CHOICE("layer|token"), "overlap": CHOICE("full|none"), "start": CHOICE("recent|empty|free"),
        "mirrored_reads": CHOICE("near|split"), "layers": NUMBER, "steps": NUMBER, "blocks_per_layer": NUMBER,
        "batch": NUMBER, "kv_block_bytes": LIST(NUMBER), "expert_block_bytes": NUMBER, "new_kv_bytes": LIST(NUMBER),
        "capacity_bytes": NUMBER, "fixed_bytes": LIST(LIST(PAIR, "{3}")), "bandwidth_bytes_per_second": FOUR,
        "interference_2_20": NUMBER, "floor_units": NUMBER, "overhead_units": NUMBER, "ticks_per_second": NUMBER,
        "unit_bytes": NUMBER, "start_price": NUMBER, "made_by": r'"[ !#-\[\]-~]{0,1000}"'}
HEAD_2 = {"weight_bytes" if key == "fixed_bytes" else key:
          FOUR if key == "fixed_bytes" else NUMBER if key in ("kv_block_bytes", "new_kv_bytes") else pattern
          for key, pattern in HEAD.items() if key != "claim"}


def read_numbers(version, text):
    """The head as of version 3, its numbers in their ranges."""
    form = ",".join(rf'"{key}":{pattern}' for key, pattern in (HEAD if version == 3 else HEAD_2).items())
    require(re.fullmatch(rf"\{{{form}\}}".encode(), text), "its head has not the one plain form")
    n = json.loads(text)
    if version == 2:
        n |= {"claim": "step", "kv_block_bytes": [n["kv_block_bytes"]], "new_kv_bytes": [n["new_kv_bytes"]],
              "fixed_bytes": [[[weight, 0] for weight in n.pop("weight_bytes")]]}
        n["capacity_bytes"] *= n["batch"]
    numbers = lambda value: [x for part in value for x in numbers(part)] if isinstance(value, list) else [value]
    for key in (key for key in n if not isinstance(n[key], str)):
        bits = 64 if key in ("ticks_per_second", "start_price") else 63
        require(max(numbers(n[key])) < 1 << bits, f"{key} is out of range")
    return n


def read_certificate(path, trace):
    """Its numbers (those by layer as lists of L), channel prices [group][channel] and row prices [step], as Python integers."""
    data = pathlib.Path(path).read_bytes()
    try:
        version, text, at = read_head(data, b"\x89KVC\r\n\x1a\n", (2, 3), "certificate")
        n = read_numbers(version, text)
        require(n["trace_digest"] == trace.stated_digest, "it speaks about another trace")
        require((n["layers"], n["steps"], n["blocks_per_layer"]) == (trace.layers, trace.num_steps, trace.blocks),
                "its layers, steps or blocks are not the trace's")
        for key in ("kv_block_bytes", "new_kv_bytes", "fixed_bytes"):
            by_running = trace.layers * int(trace.running.max()) if key == "fixed_bytes" else trace.layers
            require(len(n[key]) in (1, trace.layers, by_running), f"{key} has neither one entry nor one by layer")
            n[key] *= max(1, trace.layers // len(n[key]))
        stored, = struct.unpack_from("<Q", data, at)
        require(len(data) == at + 16 + stored, "is cut off, damaged, or goes on after its end")
        require(xxh64(data[at:-8]) == struct.unpack_from("<Q", data, at + 8 + stored)[0], "its prices are damaged")
        groups, steps = n["steps"] * (1 if n["barrier"] == "token" else n["layers"]), n["steps"] * n["layers"]
        require(is_one_frame(frame := data[at + 8:-8]), "its prices are not one zstd frame")
        words = np.frombuffer(decompress(frame, 8 * (4 * groups + steps)), "<u8").tolist()
    except UNREADABLE as error:
        raise Rejected(str(error)) from error
    return n, list(zip(*(words[c * groups:(c + 1) * groups] for c in range(4)))), words[4 * groups:]


def is_one_frame(data):
    """Whether this is one zstd frame from its first byte to its last (RFC 8878, 3.1.1)."""
    single, checksum = data[4] >> 5 & 1, data[4] >> 2 & 1
    at = 5 + (1 - single) + (0, 1, 2, 4)[data[4] & 3] + (single, 2, 4, 8)[data[4] >> 6]
    last = data[:4] != b"\x28\xb5\x2f\xfd"
    while not last:
        block = int.from_bytes(data[at:at + 3], "little")
        last, repeated = block & 1, block >> 1 & 3 == 1
        at += 3 + (1 if repeated else block >> 3)
        last = last or at >= len(data)
    return data[:4] == b"\x28\xb5\x2f\xfd" and at + 4 * checksum == len(data)
