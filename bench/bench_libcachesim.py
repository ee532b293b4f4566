#!/usr/bin/env python3
"""libCacheSim's LRU on the bundled trace, for scale: requests per second in one thread, trace reading included.

Runs only where the package `libcachesim` is installed (pip install libcachesim==0.3.5); says so otherwise. Its cache is one list over
all layers, so the figure to put beside it is `replay/lru-global` of bench_replay.

Usage: bench_libcachesim.py KVPLACE TRACE
"""

import os
import subprocess
import sys
import tempfile
import time

LAYERS = 30
NEAR_BLOCKS_PER_LAYER = 96


def main() -> int:
    kvplace, trace = sys.argv[1:]
    try:
        import libcachesim as lcs
    except ImportError:
        print("libcachesim is not installed (pip install libcachesim==0.3.5): nothing to measure beside kvplace")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        exported = os.path.join(folder, "trace.oracleGeneral")
        subprocess.run([kvplace, "export", trace, "-o", exported, "--format", "oracle-general"], check=True)
        requests = os.path.getsize(exported) // 24
        params = lcs.ReaderInitParam()
        params.ignore_obj_size = True  # capacity counts blocks
        best, miss_ratio = float("inf"), 0.0
        for _ in range(3):
            reader = lcs.TraceReader(exported, lcs.TraceType.ORACLE_GENERAL_TRACE, params)
            cache = lcs.LRU(cache_size=LAYERS * NEAR_BLOCKS_PER_LAYER)
            begin = time.perf_counter()
            miss_ratio = cache.process_trace(reader)[0]
            best = min(best, time.perf_counter() - begin)
    print(f"libCacheSim {lcs.__version__ if hasattr(lcs, '__version__') else ''} LRU, {LAYERS * NEAR_BLOCKS_PER_LAYER} places: "
          f"{requests / best / 1e6:.1f} M requests/s, miss ratio {miss_ratio:.4f} (every first read is a miss there)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
