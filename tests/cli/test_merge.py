"""`kvplace merge`: its options, logs of requests, and what is refused; and other verbs on served batches."""

from __future__ import annotations

import gzip
import json
import struct
import unittest

import cli
from xxhash import xxh64_intdigest as xxh64

SOURCES = ((12, 8), (20, 5), (9, 14))  # decode steps, prompt tokens
BLOCK = ("--block-bytes", "4kB")


def json_log(rows: list[dict]) -> str:
    """A line for each."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def mooncake(*rows: tuple[float, int, int]) -> str:
    """Times in ms, prompts, outputs."""
    return json_log([{"timestamp": at, "input_length": i, "output_length": o, "hash_ids": [1, 2]} for at, i, o in rows])


class MergeTest(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        for n, (steps, prompt) in enumerate(SOURCES):
            self.make_trace(f"s{n}.kvt", cli.random_rows(n, 2, steps, prompt), prompt)

    def merge(self, *flags: object, sources: tuple[str, ...] = ("s0.kvt", "s1.kvt", "s2.kvt")) -> str:
        return self.ok("merge", *sources, "-o", "m.kvt", *flags)

    def table(self, name: str = "m.kvt") -> list[tuple[int, int, int]]:
        """Prompt, first decode step and end of each request."""
        data = self.read(name)
        table = json.loads(data[16:16 + struct.unpack_from("<I", data, 12)[0]])["request_table"]
        return list(zip(table["prompt_tokens"], table["first_step"], table["end_step"]))

    def refuses(self, *arguments: object, words: tuple[str, ...]) -> None:
        """One sentence with these words, and no file is left."""
        before = self.names()
        self.refused(self.run_cli(*arguments), cli.BAD_INPUT, *words)
        self.assertEqual(self.names(), before)


class Options(MergeTest):
    def test_all_at_once(self) -> None:
        self.merge()
        self.assertEqual(self.table(), [(8, 0, 12), (5, 0, 20), (14, 0, 9)])

    def test_slots_and_room(self) -> None:
        self.merge("--slots", 1)
        self.assertEqual(self.table(), [(8, 0, 12), (5, 12, 32), (14, 32, 41)])
        self.merge("--slots", 2)
        self.assertEqual(self.table(), [(8, 0, 12), (5, 0, 20), (14, 12, 21)])
        self.merge("--kv-tokens", 25 + 20)  # prompts and outputs: 20, 25, 23
        self.assertEqual(self.table(), [(8, 0, 12), (5, 0, 20), (14, 20, 29)])
        self.merge("--kv-tokens", 25)
        self.assertEqual(self.table(), [(8, 0, 12), (5, 12, 32), (14, 32, 41)])

    def test_requests_take_traces_over_and_over(self) -> None:
        self.merge("--requests", 5)
        self.assertEqual([prompt for prompt, _, _ in self.table()], [8, 5, 14, 8, 5])
        self.merge("--requests", 1)
        self.assertEqual(self.table(), [(8, 0, 12)])

    def test_seeds(self) -> None:
        flags = ("--arrivals", "poisson:5", "--requests", 20)
        self.merge(*flags, "--seed", 3)
        first = self.read("m.kvt")
        self.merge(*flags, "--seed", 3, "--zstd-level", 3)
        self.assertEqual(self.read("m.kvt"), first)
        self.merge(*flags, "--seed", 4)
        self.assertNotEqual(self.read("m.kvt"), first)
        # Twice as fast time: no request is served later.
        before = self.table()
        self.merge(*flags, "--seed", 4, "--step-time", "40ms")
        self.assertTrue(all(a[1] <= b[1] for a, b in zip(self.table(), before)))

    def test_the_digest_says_what_was_merged(self) -> None:
        self.merge()
        digests = {self.json("info", "m.kvt", "--check")["manifest"]["digest"]}
        for flags in (("--slots", 2), ("--requests", 2)):
            self.merge(*flags)
            digests.add(self.json("info", "m.kvt", "--check")["manifest"]["digest"])
        self.assertEqual(len(digests), 3)

    def test_experts_are_read_by_all(self) -> None:
        for name, experts in (("a", "[[0, 2], [1]]"), ("b", "[[2, 3], []]")):
            lines = [f'{{"l": {l}, "t": {t}, "e": {ids}}}' for t in range(3) for l, ids in enumerate(json.loads(experts))]
            self.write(f"{name}.jsonl", "\n".join(lines) + "\n")
            self.ok("import", f"{name}.jsonl", "-o", f"{name}.kvt", "--columns", "layer=l,step=t,experts=e", "--experts", 4)
        self.merge(sources=("a.kvt", "b.kvt"))
        self.assertEqual(self.json("info", "m.kvt")["reads"], 3 * 4)  # 0 2 3, and 1

    def test_bad_options(self) -> None:
        for flags, words in ((("--slots", 0), "--slots"), (("--slots", "x"), "--slots"), (("--requests", 0), "--requests"),
                             (("--requests", 2**20 + 1), "--requests"), (("--kv-tokens", 0), "--kv-tokens"),
                             (("--kv-tokens", "1.5"), "--kv-tokens"), (("--step-time", "0ms"), "--step-time"),
                             (("--step-time", "20"), "--step-time"), (("--arrivals", "poisson:0"), "--arrivals"),
                             (("--arrivals", "poisson:"), "--arrivals"), (("--arrivals", "poisson:-1"), "--arrivals"),
                             (("--arrivals", "poisson:nan"), "--arrivals"), (("--arrivals", "none.jsonl"), "none.jsonl"),
                             (("--seed", "x"), "--seed"), (("--zstd-level", 20), "--zstd-level")):
            with self.subTest(flags):
                self.refuses("merge", "s0.kvt", "-o", "m.kvt", *flags, words=(words,))
        self.refuses("merge", "s0.kvt", "-o", "m.kvt", "--kv-tokens", 19, words=("request 0", "20 tokens", "--kv-tokens"))
        self.refuses("merge", "s0.kvt", "-o", "m.kvt", "--arrivals", "poisson:1e-9", "--requests", 2,
                     words=("request 1", "--step-time"))
        self.refuses("merge", "s0.kvt", "-o", "m.kvt", "--requests", 200_000, words=("m.kvt", "metadata", "fewer requests"))


class Sources(MergeTest):
    def test_traces_that_differ(self) -> None:
        self.make_trace("layers.kvt", cli.random_rows(0, 3, 5, 8), 8)
        self.make_trace("pages.kvt", cli.random_rows(0, 2, 5, 8, 4), 8, 4)
        self.make_trace("model.kvt", cli.random_rows(0, 2, 5, 8), 8, 1, "--model", "smollm2-135m")
        for name, words in (("layers.kvt", ("3 layers", "s0.kvt has 2")), ("pages.kvt", ("4 tokens per block",)),
                            ("model.kvt", ("another model",)), ("none.kvt", ()), ("s0.kvt/x", ())):
            with self.subTest(name):
                self.refuses("merge", "s0.kvt", name, "-o", "m.kvt", words=(name, *words))

    def test_requests_that_take_turns(self) -> None:
        """Steps that decode a token of one query each: no step appends what a batch would."""
        rows = ['7,5,0,"[3, 1]","[2, 0]"', '9,0,0,"[2]","[1]"', '7,6,0,"[0]","[3]"', '9,1,0,"[2]","[1]"']
        self.write("x.csv", "\n".join(["query_id,token_id,layer_id,experts,attention", *rows, ""]))
        self.ok("import", "x.csv", "-o", "x.kvt", "--format", "fang-moe-csv")
        self.refuses("merge", "x.kvt", "-o", "m.kvt", words=("x.kvt", "decode step", "prompt"))

    def test_steps_of_several_tokens(self) -> None:
        rows = [{"l": l, "t": t, "p": 8 + 2 * t, "v": 2, "a": 2, "ids": [0]} for t in range(3) for l in range(2)]
        self.write("x.jsonl", json_log(rows))
        self.ok("import", "x.jsonl", "-o", "x.kvt", "--columns",
                "layer=l,step=t,position=p,blocks=ids,verified=v,accepted=a")
        self.refuses("merge", "x.kvt", "-o", "m.kvt", words=("x.kvt", "several tokens"))

    def test_a_batch_is_not_merged_again(self) -> None:
        self.merge()
        self.refuses("merge", "m.kvt", "-o", "n.kvt", words=("m.kvt", "served batch"))

    def test_not_onto_a_source(self) -> None:
        before = self.read("s1.kvt")
        self.refuses("merge", "s0.kvt", "s1.kvt", "-o", "s1.kvt", words=("s1.kvt",))
        self.assertEqual(self.read("s1.kvt"), before)

    def test_damage_that_is_found_late_leaves_nothing(self) -> None:
        data = bytearray(self.read("s1.kvt"))
        data[len(data) // 2] ^= 255
        self.write("s1.kvt", bytes(data))
        self.refuses("merge", "s0.kvt", "s1.kvt", "-o", "m.kvt", words=("s1.kvt",))


class Logs(MergeTest):
    """Decode steps take 10 ms; each request takes the trace whose prompt is nearest: 8, 5 or 14 tokens."""

    #: First decode steps, prompts and ends of what LOG says.
    TABLE = [(8, 0, 3), (5, 2, 6), (14, 25, 34)]

    def check(self, name: str, kind: str, table: list = TABLE, left_out: int = 0) -> None:
        out = self.merge("--arrivals", name, "--step-time", "10ms")
        # Nothing runs in steps 6 to 24.
        moved = [(p, f - 19, e - 19) if f > 20 else (p, f, e) for p, f, e in table]
        self.assertEqual(self.table(), moved, out)
        self.assertRegex(out, rf"arrivals: {kind}, {len(table)} requests")
        self.assertIn("19 steps in which nothing runs are left out", out)
        self.assertEqual("generated nothing" in out, left_out > 0, out)

    def test_mooncake_in_ms(self) -> None:
        self.write("l.jsonl", mooncake((1000, 9, 3), (1020, 3, 4), (1245, 10**6, 100)))
        self.check("l.jsonl", "Mooncake")

    def test_those_without_output_are_left_out(self) -> None:
        self.write("l.jsonl", mooncake((1000, 9, 3), (1010, 1, 0), (1020, 3, 4), (1245, 10**6, 100)))
        self.check("l.jsonl", "Mooncake", left_out=1)

    def test_order_is_that_of_arrival(self) -> None:
        self.write("l.jsonl", mooncake((1245, 10**6, 100), (1020, 3, 4), (1000, 9, 3)))
        self.check("l.jsonl", "Mooncake")

    def test_qwen_bailian_in_s(self) -> None:
        rows = [{"chat_id": 7, "parent_chat_id": -1, "timestamp": at, "input_length": i, "output_length": o, "type": "text",
                 "turn": 1, "hash_ids": []} for at, i, o in ((61.0, 9, 3), (61.02, 3, 4), (61.245, 15, 9))]
        self.write("l.jsonl", json_log(rows))
        self.check("l.jsonl", "Qwen-Bailian")

    def test_azure_over_midnight(self) -> None:
        head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        self.write("l.csv", head + "2023-12-31 23:59:59.9000000,9,3\r\n2023-12-31 23:59:59.9200000,3,4\r\n"
                   "2024-01-01 00:00:00.1450000,15,9")
        self.check("l.csv", "Azure")
        self.write("l.csv", head + "2024-05-12 23:59:59.900000+00:00,9,3\n2024-05-12 23:59:59.920000+00:00,3,4\n\n"
                   "2024-05-13 00:00:00.145000+00:00,15,9\n")
        self.check("l.csv", "Azure")
        self.write("l.csv", "x,GeneratedTokens,TIMESTAMP,ContextTokens\n1,3,2024-02-28 23:59:59.9,9\n"
                   "1,4,2024-02-28 23:59:59.92,3\n1,9,2024-02-29 00:00:00.145,15\n")
        self.check("l.csv", "Azure")

    def test_gzip_and_zstd(self) -> None:
        log = mooncake((0, 9, 3), (20, 3, 4), (245, 15, 9))
        self.write("l.jsonl.gz", gzip.compress(log.encode()))
        self.check("l.jsonl.gz", "Mooncake")

    def test_fewer_requests_than_the_log(self) -> None:
        self.write("l.jsonl", mooncake((0, 9, 3), (20, 3, 4), (245, 15, 9)))
        self.merge("--arrivals", "l.jsonl", "--requests", 2, "--step-time", "10ms")
        self.assertEqual(self.table(), self.TABLE[:2])

    def test_arrivals_at_the_beginning_of_a_step(self) -> None:
        """Also where seconds are no exact numbers: a request that comes with step n is in step n."""
        for first in range(20, 300, 45):
            self.write("l.jsonl", mooncake((first, 8, 12), (first + 150, 8, 1)))
            self.merge("--arrivals", "l.jsonl", "--step-time", "10ms", sources=("s1.kvt",))
            self.assertEqual(self.table()[1][1] + 3, 15, first)  # steps 12 to 14 are left out

    def test_damaged_logs(self) -> None:
        whole = mooncake((0, 9, 3), (20, 3, 4))
        line = '{"timestamp": 0, "input_length": 9, "output_length": 3}\n'
        azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n"
        for text, words in (
                ("", ("l",)), ("\n", ("no log of requests",)), ("n,l,read_kv\n", ("no log of requests",)),
                ('{"timestamp": 1}\n', ("no log of requests",)), (line + "x\n", ("l:2: ",)),
                (line + '{"timestamp": 0, "input_length": 9}\n', ("l:2: ",)),
                (line + line.replace("9", "-9"), ("l:2: ",)), (line + line.replace("9", "9.5"), ("l:2: ",)),
                (line + line.replace("9", '"9"'), ("l:2: ",)), (line + line.replace("0", "null"), ("l:2: ",)),
                (line.replace("3", "0"), ("no request that generated",)),
                (line + line.replace("0,", "1e300,"), ("times span",)),
                (line + line.replace("9", "1" * 30), ("l:2: ",)),
                (azure + "2023-13-16 18:15:46,374,44\n", ("l:3: ",)), (azure + "2023-11-31 18:15:46,374,44\n", ("l:3: ",)),
                (azure + "2023-11-16 24:15:46,374,44\n", ("l:3: ",)), (azure + "2023-11-16 18:15:46,374\n", ("l:3: ",)),
                (azure + "2023-11-16 18:15:46,374,x\n", ("l:3: ",)), (azure + "18:15:46,374,1\n", ("l:3: ",)),
                (azure + "2023-11-16 18:15:nan,374,1\n", ("l:3: ",)),
                ("TIMESTAMP,ContextTokens,GeneratedTokens\n", ("no request that generated",))):
            with self.subTest(text):
                self.write("l", text)
                self.refuses("merge", "s0.kvt", "-o", "m.kvt", "--arrivals", "l", words=words)
        self.write("l.gz", gzip.compress(whole.encode())[:-9])
        self.refuses("merge", "s0.kvt", "-o", "m.kvt", "--arrivals", "l.gz", words=("l.gz",))


class DamagedTables(MergeTest):
    """Metadata that says something else of requests: checksums are right, so that what lies behind them is reached."""

    def setUp(self) -> None:
        super().setUp()
        self.merge("--slots", 2)
        data = self.read("m.kvt")
        self.end = 16 + struct.unpack_from("<I", data, 12)[0]
        self.meta, self.rest = json.loads(data[16:self.end]), data[self.end + 8:]
        self.room = self.end - 16

    def damaged(self, *words: str, **changes: object) -> None:
        """Changes of the table, or of the metadata; the head keeps its length, as chunks are found from its end."""
        meta = {**json.loads(json.dumps(self.meta)), "source": ""}  # room for longer numbers
        for key, value in changes.items():
            (meta["request_table"] if key in meta["request_table"] else meta)[key] = value
        text = json.dumps(meta, separators=(",", ":")).encode()
        self.assertLessEqual(len(text), self.room)
        head = b"\x89KVT\r\n\x1a\n" + struct.pack("<II", 2, self.room) + text.ljust(self.room)
        self.write("x.kvt", head + struct.pack("<Q", xxh64(head)) + self.rest)
        with self.subTest(changes):
            self.refuses("info", "x.kvt", "--check", words=("x.kvt", *words))

    def test_tables(self) -> None:
        for column in ("prompt_tokens", "first_step", "end_step"):
            good = self.meta["request_table"][column]
            for bad in ([], good[:2], [*good, 0], good[0], "x", None, [1.5, *good[1:]], [-1, *good[1:]], ["1", *good[1:]],
                        [None, *good[1:]], [2**32, *good[1:]], [[1], *good[1:]]):
                self.damaged("metadata", column, **{column: bad})
        self.damaged("metadata", "request_table", request_table=None)
        self.damaged("metadata", "request_table", request_table=[1])

    def test_requests_that_cannot_be(self) -> None:
        first, end = self.meta["request_table"]["first_step"], self.meta["request_table"]["end_step"]
        self.damaged("one token", end_step=[first[0], *end[1:]])
        self.damaged("one token", first_step=[end[0] + 1, *first[1:]])
        self.damaged("no request runs in decode step 0", first_step=[f + 1 for f in first])
        self.damaged("2^26", end_step=[2**27, *end[1:]])
        self.damaged("2^26", prompt_tokens=[2**28, *self.meta["request_table"]["prompt_tokens"][1:]])

    def test_tables_of_another_trace(self) -> None:
        """Longer, shorter, with other pages: what the chunks hold is not what the table says."""
        table = self.meta["request_table"]
        first, end, prompts = table["first_step"], table["end_step"], table["prompt_tokens"]
        self.damaged(end_step=[*end[:2], end[2] + 1])
        self.damaged(end_step=[*end[:2], end[2] - 1])
        self.damaged(first_step=[first[0], first[1] + 1, first[2]])
        self.damaged(end_step=[end[0] - 1, *end[1:]])
        self.damaged(prompt_tokens=[prompts[0] - 1, *prompts[1:]])
        self.damaged("longest", prompt_tokens=[prompts[0], prompts[1], prompts[2] - 1])
        self.damaged(has_pages=False)
        self.damaged(requests=2)
        self.damaged(block_tokens=2)
        self.damaged(experts=1)
        self.damaged(needs=[])
        self.damaged(needs=["tokens"])
        self.damaged(needs=["requests", "tokens"])
        self.damaged(has_ranking=True)


class OtherVerbs(MergeTest):
    def setUp(self) -> None:
        super().setUp()
        self.merge("--slots", 2)
        self.ok("merge", "s0.kvt", "-o", "one.kvt")

    def test_what_takes_single_requests(self) -> None:
        for name in ("m.kvt", "one.kvt"):
            self.refuses("generate", "--like", name, "-o", "x.kvt", words=(name, "served batch"))
            for form in ("fang-csv", "topk-npy", "fang-moe-csv"):
                self.refuses("export", name, "-o", "x", "--format", form, words=(name, "served batch", form))
            self.refuses("budgets", name, *BLOCK, "--near-blocks-per-layer", 4, "-o", "x.toml",
                         words=(name, "served batch"))
            self.refuses("advise", "--trace", name, "--model", "smollm2-135m", words=(name, "one request", "served batch"))
            self.refuses("compare", name, *BLOCK, "--near-blocks-per-layer", 4, "--batch", 2, words=("batch",))

    def test_accesses_are_exported(self) -> None:
        """oracle-general is a list of reads, whoever reads: (layer, id) and its next read."""
        self.ok("export", "m.kvt", "-o", "x", "--format", "oracle-general")
        self.assertEqual(len(self.read("x")) // 24, self.json("info", "m.kvt")["reads"])

    def test_size_answers_what_compare_counts(self) -> None:
        """What is enough reaches the target, a block less does not."""
        found = self.json("size", "m.kvt", *BLOCK, "--target", "70%", "--policy", "lru")
        enough, wanted = int(found["answers"][0]["answer"]["value"]), 0.7 * found["all_near_tokens_per_s"]
        for capacity, reached in ((enough, True), (enough - 4000, False)):
            got = self.results("m.kvt", *BLOCK, "--near-capacity", f"{capacity}B", "--policy", "lru")["lru"]
            self.assertEqual(got["tokens_per_s"] >= wanted, reached)

    def test_a_bound_is_below_what_is_planned(self) -> None:
        flags = (*BLOCK, "--near-capacity", "80kB", "--weight-bytes-per-step", "100kB")
        found = self.json("bound", "m.kvt", *flags, "-o", "c.cert", "--schedule", "s.kvs")
        self.assertLessEqual(found["bound_s"], found["best_schedule_s"])
        replayed = self.json("replay", "m.kvt", "s.kvs", *flags)["result"]["total_s"]
        self.assertAlmostEqual(replayed, found["best_schedule_s"], delta=1e-9 * replayed)


class Interrupt(MergeTest):
    def test_nothing_is_left(self) -> None:
        import signal  # noqa: PLC0415
        import time  # noqa: PLC0415
        before = self.names()
        process = cli.start("merge", cli.BUNDLED, "-o", "m.kvt", "--requests", 300, "--slots", 64, cwd=self.folder)
        time.sleep(0.7)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, cli.LIMIT_REACHED, err)
        self.assertEqual(self.names(), before)


if __name__ == "__main__":
    unittest.main()
