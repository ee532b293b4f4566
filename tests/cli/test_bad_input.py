"""Bad input, verb by verb: exit code 2, one clear line on stderr, and no file made, changed or left behind."""

from __future__ import annotations

import gzip
import os
import resource
import stat
import subprocess
import unittest

import numpy as np

import cli

ROWS = cli.random_rows(2, layers=2, steps=25, prompt_tokens=8)
HEAD = "n,l,read_kv\n"
OLD = b"an older output\n"
HARDWARE = """
name = "mine"
[near]
capacity = "23GiB"
bandwidth = "4900GB/s"
[far]
capacity = "480GiB"
bandwidth = "500GB/s"
link_read = "450GB/s"
link_write = "450GB/s"
"""


class BadInput(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, 8)
        self.write("old", OLD)

    def bad(self, *arguments: object, says: tuple[str, ...] = (), **options: object) -> None:
        """Runs the command, which must refuse and leave the folder as it is."""
        before = {name: os.stat(self.path(name)).st_mtime_ns for name in self.names()}
        with self.subTest(command=" ".join(map(str, arguments))[:300]):
            ran = self.run_cli(*arguments, timeout=20, **options)
            self.refused(ran, cli.BAD_INPUT, *says)
            self.assertEqual({name: os.stat(self.path(name)).st_mtime_ns for name in self.names()}, before, ran)

    def bad_import(self, content: bytes | str, *says: str, fmt: str = "fang-csv", more: tuple = (),
                   name: str = "bad.in") -> None:
        """A source to be refused, whether the output is there already or not."""
        self.write(name, content)
        with self.subTest(content=content[:80]):
            self.bad("import", name, "-o", "new.kvt", "--format", fmt, *more, says=(name, *says))
            self.bad("import", name, "-o", "old", "--format", fmt, *more, says=(name, *says))
            self.assertEqual(self.read("old"), OLD)

    def test_fang_csv(self) -> None:
        for content, *says in (
                ("", "empty"), ("\n", ":1"), ("\x00" * 100, ":1"), ("n,l\n0,0\n", ":1", "n,l,read_kv"),
                ("l,n,read_kv\n0,0,\"[1]\"\n", ":1"), ("x" * 5000, ":1"), ("0,0,\"[1]\"\n", ":1"), (HEAD, "no rows"),
                (HEAD + '0,0\n', ":2", "read_kv"), (HEAD + '0,0,"[1]",7\n', ":2", "more columns"),
                (HEAD + '0,"[1]"\n', ":2"),
                (HEAD + '0,0,"[-1]"\n', ":2", '"-1"', "negative"),
                (HEAD + '0,0,"[1, 4294967296]"\n', ":2", "too large"),
                (HEAD + '0,0,"[268435456]"\n', ":2", "268435455"), (HEAD + f'0,0,"[{"9" * 400}]"\n', ":2", "too large"),
                (HEAD + '0,0,"[1, two]"\n', ":2", '"two"'), (HEAD + '0,0,"[1.5]"\n', ":2", '"1.5"'),
                (HEAD + '0,0,"[1e3]"\n', ":2"),
                (HEAD + '0,0,"[nan]"\n', ":2", "nan"), (HEAD + '0,0,"[1,,2]"\n', ":2"),
                (HEAD + '0,0,"[1 2]"\n', ":2", "comma"),
                (HEAD + '0,0,"[1, 2"\n', ":2"), (HEAD + '0,0,"1, 2"\n', ":2"), (HEAD + "0,0,[1, 2]\n", ":2", "quotes"),
                (HEAD + '0,0,"[1, 1]"\n', ":2", "twice"), (HEAD + '0,0,"[[1]]"\n', ":2"), (HEAD + '0,0,"{}"\n', ":2"),
                (HEAD + '-1,0,"[1]"\n', ":2"), (HEAD + '0,x,"[1]"\n', ":2", "column l"),
                (HEAD + f'{"9" * 30},0,"[1]"\n', ":2"),
                (HEAD + '0,0,"[1\x002]"\n', ":2", "NUL"), (HEAD + '0,0,"[1]"\n\x00\n', ":3", "NUL"),
                (HEAD + '1,0,"[1]"\n', ":2", "decode step"), (HEAD + '0,1,"[1]"\n', ":2", "layer"),
                (HEAD + '0,0,"[1]"\n2,0,"[1]"\n', ":3", "decode step 2"), (HEAD + '0,0,"[1]"\n0,0,"[1]"\n', ":3"),
                (HEAD + '0,0,"[1]"\n1,0,"[1]"\n0,0,"[1]"\n', ":4", "decode step 0"),
                (HEAD + '0,0,"[1]"\n0,1,"[1]"\n1,1,"[1]"\n', ":4"), (HEAD + '0,0,"[1]"\n0,2,"[1]"\n', ":3", "layer 2"),
                (HEAD + '0,0,"[1]"\n0,1,"[1]"\n1,0,"[1]"\n', "layer"),
                (HEAD + '0,0,"[1]"\n1,0,"[1]"\n1,1,"[1]"\n', "layer"),
                (HEAD + '0,0,"[1]"\n' + '"' * 1000, ":3")):
            self.bad_import(content, *says)
        self.bad_import(HEAD + '0,0,"[3]"\n', ":2", "block 3", "--prompt-tokens of at least 3",
                        more=("--prompt-tokens", 2))

    def test_fang_moe_csv(self) -> None:
        head = "query_id,token_id,layer_id,experts,attention\n"
        for content, *says in ((HEAD, ":1", "query_id"), (head, "no rows"), (head + '0,0,0,"[1]"\n', ":2", "attention"),
                               (head + '0,0,0,"[-1]","[]"\n', ":2", "experts"),
                               (head + '0,0,1,"[1]","[]"\n0,1,0,"[1]","[]"\n', ":3", "layer 0"),
                               (head + '0,0,1,"[1]","[]"\n0,0,3,"[1]","[]"\n', ":3", "layer 2 is next")):
            self.bad_import(content, *says, fmt="fang-moe-csv")

    def test_topk_npy(self) -> None:
        np.save(self.path("good.npy"), cli.topk_array(ROWS))
        good = self.read("good.npy")
        for content, *says in (
                (b"", "empty"), (b"PK\x03\x04" + good, "npz"), (good[:5], ""), (good[:9], ""), (good[:60], "header"),
                (good[:-1], "end"), (good + b"\0", "more"), (b"\x00" * 300, ".npy"),
                (good.replace(b"<i4", b"<f4"), "<f4"),
                (good.replace(b"<i4", b">i4"), "is no id"), (good.replace(b"(25, ", b"(99, "), ""),
                (good.replace(b"'shape'", b"'shapo'"), "header"), (good.replace(b"(25, 2,", b"(25, 0,"), "shape"),
                (good.replace(b"NUMPY\x01", b"NUMPY\x09"), "version 9")):
            self.bad_import(content, *says, fmt="topk-npy")
        for array, *says in ((np.zeros((4, 4), "<i4"), "shape"),
                             (np.full((2, 1, 3), -2, "<i4"), "-2", "decode step 0"),
                             (np.full((2, 1, 1), 2**40, "<i8"), str(2**40)),
                             (np.zeros((2, 1, 2), "<i4"), "twice"),
                             (np.zeros((2, 1, 2), "<f8"), "<f8"), (np.zeros((0, 1, 2), "<i4"), "")):
            np.save(self.path("x.npy"), array)
            self.bad_import(self.read("x.npy"), *says, fmt="topk-npy")
            os.remove(self.path("x.npy"))
        self.bad("import", "good.npy", "-o", "new.kvt", "--format", "topk-npy", "--read", 0, says=("--read",))

    def test_absurd_sizes(self) -> None:
        """What a file claims is not believed: neither memory nor time for it is spent."""
        for shape in ("(1000000000000, 30, 512)", "(2, 30, 99999999999)", "(4000000000, 65536, 60000000)",
                      "(2, 99999999, 1)"):
            text = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
            self.bad_import(b"\x93NUMPY\x01\x00\x76\x00" + text.encode(), fmt="topk-npy")
        self.bad_import(HEAD + "".join(f'0,{l},"[268435455]"\n' for l in range(16)), "blocks")
        self.bad_import(HEAD + '0,0,"[268435455]"\n', "--block-tokens", more=("--block-tokens", 1 << 28))
        for more in (("--prompt-tokens", "4294967296"), ("--prompt-tokens", "4294967295"),
                     ("--block-tokens", "99999999999999999999")):
            self.bad("import", self.write("a.csv", HEAD + '0,0,"[0]"\n'), "-o", "new.kvt", "--format", "fang-csv",
                     *more)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 1 << 20)  # KiB

    def test_compressed_sources(self) -> None:
        text = cli.fang_csv(ROWS).encode()
        zst = subprocess.run(["zstd", "-qc"], input=text, check=True, capture_output=True).stdout
        for name, packed in (("x.csv.gz", gzip.compress(text)), ("x.csv.zst", zst)):
            for size in (*range(4, len(packed), len(packed) // 12), len(packed) - 1):
                self.bad_import(packed[:size], name=name)
            for at in range(len(packed) // 3, len(packed) - 8, len(packed) // 8):
                self.bad_import(packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1:], name=name)
            self.bad_import(packed + b"and more", name=name)

    def test_files(self) -> None:
        source = self.write("a.csv", cli.fang_csv(ROWS))
        os.mkdir(self.path("folder"))
        for verb in (["info"], ["compare"], ["show-config"], ["export", "-o", "new", "--format", "fang-csv"]):
            self.bad(*verb, "missing.kvt", says=("missing.kvt", "No such file"))
            self.bad(*verb, "folder", says=("folder", "folder"))
            self.bad(*verb, source, says=("a.csv", ".kvt", "import"))
            self.bad(*verb, self.write("empty.kvt", b""), says=("empty.kvt",))
        for verb in (["import", source, "--format", "fang-csv"], ["export", self.trace, "--format", "topk-npy"]):
            self.bad(*verb, "-o", "missing/new", says=("missing/new",))
            self.bad(*verb, "-o", "folder", says=("folder",))
            self.bad(*verb, "-o", "", says=())
        self.bad("import", "missing.csv", "-o", "new.kvt", "--format", "fang-csv", says=("missing.csv",))
        self.bad("import", source, "missing.csv", "-o", "new.kvt", "--format", "fang-csv", says=("missing.csv",))
        self.bad("import", "folder", "-o", "new.kvt", "--format", "fang-csv", says=("folder",))
        self.bad("replay", self.trace, "missing.kvs", "--block-bytes", "4kB", says=("missing.kvs",))
        self.bad("compare", self.trace, "--block-bytes", "4kB", "--policy", "lru", "--schedule-out", "missing/s.kvs",
                 says=("missing/s.kvs",))
        for flag in ("--config", "--hardware", "--model"):
            self.bad("compare", self.trace, flag, "missing.toml", says=("missing.toml",))

    def test_a_pipe_stays_a_pipe(self) -> None:
        """An output that is no regular file must not be replaced by one: think of -o /dev/null."""
        os.mkfifo(self.path("pipe"))
        self.bad("export", self.trace, "-o", "pipe", "--format", "topk-npy", says=("pipe",))
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("pipe")).st_mode))
        self.bad("import", "pipe", "-o", "new.kvt", "--format", "fang-csv", says=("pipe",))

    def test_flags(self) -> None:
        compare = ["compare", self.trace, "--block-bytes", "4kB"]
        for flags, *says in (
                (["--near-capacity", "16XB"], "--near-capacity", '"XB"'),
                (["--near-capacity", "-1GB"], "--near-capacity"),
                (["--near-capacity", "nan"], "--near-capacity"), (["--near-capacity", "1e3GB"], "--near-capacity"),
                (["--near-capacity", "0.3B"], "whole number"),
                (["--near-capacity", "99999999TiB"], "larger than any memory"),
                (["--near-capacity", ""], "--near-capacity"), (["--near-capacity", "0"], "unit"),
                (["--near-blocks-per-layer", "-3"], "--near-blocks-per-layer"),
                (["--near-blocks-per-layer", "1.5"], "--near-blocks-per-layer"),
                (["--near-blocks-per-layer", "5000000000"], "2^32"),
                (["--near-fraction", "1.01"], "--near-fraction", "0 and 1"),
                (["--near-fraction", "half"], "--near-fraction"),
                (["--near-fraction", "0.5", "--near-capacity", "1GB"], "only one"),
                (["--mode", "inclusiv"], "inclusive or exclusive"),
                (["--barrier", "step"], "layer or token"), (["--overlap", "half"], "full or none"),
                (["--start", "warm"], "recent or empty"),
                (["--start", "free", "--policy", "lru"], "lru", "oracle"), (["--batch", "0"], "--batch"),
                (["--batch", "2000000"], "2^20"),
                (["--batch", "two"], "--batch"), (["--weight-bytes-per-step", "9000000TB"], "10^18"),
                (["--seed", "-1"], "--seed"),
                (["--seed", "18446744073709551616"], "--seed"), (["--threads", "-1"], "--threads"),
                (["--threads", "many"], "--threads"),
                (["--hardware", "gh200"], '"gh200"', '"gh200-96"'), (["--model", "llama-3.1-8"], '"llama-3.1-8b"'),
                (["--nonsense"], "--nonsense"),
                (["--policy", "lru2"], '"lru2"', '"lru"'), (["--policy", "sa-guided:q=3"], '"q"', '"w"'),
                (["--policy", ""], "policy"),
                (["--policy", "sa-guided:w=0"], "w", "1 to 127"), (["--policy", "sa-guided:w=2.5"], "whole"),
                (["--policy", "sa-guided:w"], "key=value"),
                (["--policy", "lru:w=3"], "lru", '"w"'),
                (["--policy", "best-case", "--schedule-out", "new.kvs"], "best-case"),
                (["--schedule-out", "new.kvs"], "--policy"), (["--near-capacity"], "--near-capacity"),
                (["extra.kvt"], "extra.kvt"),
                (["--set", "nonsense"], "KEY=VALUE"), (["--set", "=3"], "KEY=VALUE"),
                (["--set", "options.bach=3"], "options.batch"),
                (["--set", "hardware.far.linkread=5GB/s"], "hardware.far.link_read"),
                (["--set", "far.link_read=5GB/s"], '"far.link_read"'),
                (["--set", "hardware.far.link_read=55"], "far.link_read", "unit", "GB/s"),
                (["--set", "hardware.far.link_read=0GB/s"], "far.link_read"),
                (["--set", "hardware.near.bandwidth=5GB"], "near.bandwidth", "GB/s"),
                (["--set", "hardware.interference=1"], "interference"),
                (["--set", "hardware.interference=-0.1"], "interference"),
                (["--set", "hardware.step_overhead=3"], "step_overhead", "unit"),
                (["--set", "model.layers=0", "--model", "qwen3-8b"], "layers"),
                (["--set", "options.new_kv=yes"], "true nor false")):
            self.bad(*compare, *flags, says=tuple(says))
        self.bad("compare", self.trace, says=("--block-bytes", "--model"))
        self.bad(*compare[:2], "--block-bytes", "0", says=("--block-bytes",))
        self.bad(*compare[:2], "--block-bytes", "8000TiB", says=("check the sizes",))

    def test_verbs(self) -> None:
        source = self.write("a.csv", cli.fang_csv(ROWS))
        self.bad(says=("kvplace help",))
        self.bad("comprae", self.trace, says=("comprae", "compare"))
        self.bad("compare", says=("trace",))
        self.bad("list", "polices", says=('"policies"',))
        self.bad("list", says=("what",))
        self.bad("demo", "extra", says=("extra",))
        self.bad("replay", self.trace, says=("schedule",))
        out = ["import", source, "-o", "new.kvt", "--format"]
        self.bad(*out, "fangcsv", says=('"fang-csv"',))
        self.bad(*out, "oracle-general", says=("oracle-general", "not imported"))
        self.bad("import", source, "--format", "fang-csv", says=("--out",))
        self.bad("import", "-o", "new.kvt", "--format", "fang-csv", says=("sources",))
        for flag, value in (("--block-tokens", "0"), ("--block-tokens", "-4"), ("--prompt-tokens", "-1"),
                            ("--prompt-tokens", "x"),
                            ("--zstd-level", "0"), ("--zstd-level", "99"), ("--block-bytes", "1xB"),
                            ("--block-bytes", "-1"),
                            ("--block-bytes", "0"), ("--read", "3"), ("--read", "x")):
            self.bad(*out, "fang-csv", flag, value, says=(flag,))
        self.bad("export", self.trace, "-o", "new", "--format", "topknpy", says=('"topk-npy"',))
        self.bad("export", self.trace, "-o", "new", "--format", "topk-npy", "--ranking", says=("t.kvt", "ranking"))
        self.bad("info", self.trace, "--threads", "x", says=("--threads",))

    def test_toml_files(self) -> None:
        for content, *says in (
                ("", "near.capacity"), ("name = ", ":1"), ("[near\n", ":1"), ("\x00", "x.toml"), ("\xff\xfe", "x.toml"),
                ("[" * 5000, "x.toml"),
                (HARDWARE.replace("link_read", "linkread"), ":9", "far.link_read"),
                (HARDWARE.replace('"450GB/s"', "450"), ":9", "unit"),
                (HARDWARE.replace('"450GB/s"', '"450GB"'), ":9", '"GB"'),
                (HARDWARE.replace('"450GB/s"', '"-450GB/s"'), ":9"),
                (HARDWARE.replace('"500GB/s"', "1979-05-27"), ":8", "date"),
                (HARDWARE.replace('link_write = "450GB/s"\n', ""), "link_write"),
                (HARDWARE + "[far]\n", ":11"), (HARDWARE.replace('"mine"', '"mine'), ":2"),
                (HARDWARE + "x = 1\n", ":11", '"far.x"')):
            for verb in ("compare", "show-config"):
                self.write("x.toml", content.encode("latin-1"))
                self.bad(verb, self.trace, "--block-bytes", "4kB", "--hardware", "x.toml", says=("x.toml", *says))
        for content, *says in (
                ("layers = 3", "kv_bytes_per_token_per_layer"), ("kv_bytes_per_token_per_layer = 4.5", ":1"),
                ("layers = 3\nattention.dtype = 'fp17'", "fp17"),
                ("layers = 99999999", "layers"), ("[attention]\nheads = 3", ":2", "attention"),
                ("layers = -1", ":1", "layers")):
            self.write("m.toml", content)
            self.bad("compare", self.trace, "--model", "m.toml", says=("m.toml", *says))
        for content, *says in (("trase = 't.kvt'", "trase", "trace"), ("[options]\nbach = 3", ":2", "batch"),
                               ("policies = ['lur']", '"lru"'),
                               ("policies = [3]", "policy"), ("[hardware]\nfar = 3", ":2"),
                               ("trace = 'no.kvt'", "no.kvt"), ("[[", ":1")):
            self.write("c.toml", content)
            self.bad("compare", "--config", "c.toml", "--block-bytes", "4kB",
                     *(() if "trace" in content else (self.trace,)), says=tuple(says))


if __name__ == "__main__":
    unittest.main()
