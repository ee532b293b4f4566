#!/usr/bin/env python3
"""Reference miss counts for the policies that libCacheSim has too, from its own code: tests/golden/libcachesim_misses.csv.

Exports a bundled real trace, splits it by layer, and runs each layer's reads, one by one and in ascending order within a
decode step, through a cache of so many blocks. tests/property/test_league_reference.cpp makes the same of the same trace
with kvplace: a trace of one read per decode step and no new blocks, so that both count the same thing.

Left out, as they are other algorithms than those of the papers: LFUDA (a hit adds the age of the cache to the frequency,
instead of 1) and SLRU (fills all of its segments with blocks read once while there is room).

Needs the package: python3 -m venv V && V/bin/pip install libcachesim==0.3.5
Usage: V/bin/python scripts/libcachesim_misses.py KVPLACE > tests/golden/libcachesim_misses.csv
"""

import os
import struct
import subprocess
import sys
import tempfile
from importlib.metadata import version

TRACE = "data/smollm2-holmes-token-k64-ranked.kvt"
BLOCKS_PER_LAYER = (64, 96, 200)
RECORD = struct.Struct("<IQIq")  # decode step, layer << 32 | block, bytes, index of the next record of the block


def main() -> int:
    (kvplace,) = sys.argv[1:]
    import libcachesim as lcs

    # Name of the policy here, and its counterpart with its parameters there.
    counterparts = {
        "lru": lcs.LRU,
        "fifo": lcs.FIFO,
        "clock": lcs.Clock,
        "sieve": lcs.Sieve,
        "s3-fifo": lcs.S3FIFO,
        "2q": lcs.TwoQ,
        "arc": lcs.ARC,
        "lfu-aging:aging=0": lcs.LFU,
        "lirs": lcs.LIRS,
    }
    print(f"# Misses of libCacheSim {version('libcachesim')} (PyPI), default parameters, on {TRACE}.")
    print("# Made by scripts/libcachesim_misses.py. Each layer alone, reads one by one, every first read a miss.")
    print("# policy here,class there,blocks per layer,misses by layer")
    with tempfile.TemporaryDirectory() as folder:
        exported = os.path.join(folder, "trace")
        subprocess.run([kvplace, "export", TRACE, "-o", exported, "--format", "oracle-general"], check=True)
        layers = split_by_layer(exported, folder)
        params = lcs.ReaderInitParam()
        params.ignore_obj_size = True  # capacity counts blocks
        for name, make in counterparts.items():
            for blocks in BLOCKS_PER_LAYER:
                misses = []
                for path, reads in layers:
                    reader = lcs.TraceReader(path, lcs.TraceType.ORACLE_GENERAL_TRACE, params)
                    ratio, _ = make(cache_size=blocks).process_trace(reader)
                    misses.append(round(ratio * reads))
                print(",".join([name, make.__name__, str(blocks), *map(str, misses)]), flush=True)
    return 0


def split_by_layer(exported: str, folder: str) -> list[tuple[str, int]]:
    """Files of one layer's records each, in order, and how many records they have."""
    with open(exported, "rb") as file:
        data = file.read()
    by_layer: dict[int, bytearray] = {}
    for offset in range(0, len(data), RECORD.size):
        layer = RECORD.unpack_from(data, offset)[1] >> 32
        by_layer.setdefault(layer, bytearray()).extend(data[offset : offset + RECORD.size])
    files = []
    for layer, records in sorted(by_layer.items()):
        path = os.path.join(folder, f"layer{layer}")
        with open(path, "wb") as file:
            file.write(records)
        files.append((path, len(records) // RECORD.size))
    return files


if __name__ == "__main__":
    sys.exit(main())
