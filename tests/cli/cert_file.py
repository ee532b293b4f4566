"""A certificate file written independently of the command, from docs/certificate.md."""

from __future__ import annotations

import json
import struct
import subprocess

from kvs_file import xxh64


def certificate(head: dict, channel_prices: list[list[int]], row_prices: list[int]) -> bytes:
    """channel_prices[group][channel], row_prices[step]."""
    text = json.dumps(head).encode()
    front = b"\x89KVC\r\n\x1a\n" + struct.pack("<II", 2, len(text)) + text
    words = [prices[channel] for channel in range(4) for prices in channel_prices] + row_prices
    stored = subprocess.run(["zstd", "-qc"], input=struct.pack(f"<{len(words)}Q", *words), check=True,
                            capture_output=True).stdout
    back = struct.pack("<Q", len(stored)) + stored
    return front + struct.pack("<Q", xxh64(front)) + back + struct.pack("<Q", xxh64(back))
