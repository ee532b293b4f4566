"""Traces in Python: what is written is read back, arrays say what records say, errors are the command's."""

import gc
import json
import resource
import unittest
from pathlib import Path

import numpy as np
import pandas as pd

import kvplace
from python_test import BUNDLED, CliTest, random_rows


class Reading(unittest.TestCase):
    def setUp(self):
        self.trace = kvplace.Trace(BUNDLED)

    def test_records_and_totals(self):
        trace = self.trace
        self.assertEqual((trace.layers, trace.steps, len(trace), trace.block_tokens), (30, 4096, 4096, 16))
        self.assertEqual([record.layer for record in trace[-1]], list(range(30)))
        self.assertEqual(trace[-1][0].step, 4095)
        self.assertEqual(sum(len(record.reads) for step in trace for record in step), trace.num_reads)
        with self.assertRaises(IndexError):
            trace[4096]
        trace.verify_digest()

    def test_views_outlive_the_trace(self):
        reads = self.trace[5][3].reads
        copy = reads.copy()
        with self.assertRaises(ValueError):
            reads[0] = 1
        self.trace[4000]
        del self.trace
        gc.collect()
        np.testing.assert_array_equal(reads, copy)

    def test_info_is_the_commands(self):
        ran = json.loads(_info())
        info = self.trace.info(threads=1)
        self.assertEqual(info.to_dict(), ran)
        self.assertEqual(info["overlap"], ran["overlap"])
        self.assertIn("LRU misses", repr(info))


def _info():
    from cli import run

    return run("info", BUNDLED, "--json").out


class Arrays(CliTest):
    """A random trace with rankings and bytes, written record by record."""

    LAYERS, STEPS, PROMPT = 3, 40, 50

    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(3)
        rows = random_rows(7, self.LAYERS, self.STEPS, self.PROMPT, 4)
        self.records = []
        with kvplace.TraceWriter(self.path("t.kvt"), layers=self.LAYERS, prompt_tokens=self.PROMPT, block_tokens=4,
                                 ranking=True, read_bytes=True, block_bytes=4000, model="llama-3.1-8b",
                                 selection="random", source="a test", measurements={"perplexity": 12.5}) as writer:
            for step, row in enumerate(rows):
                for layer, reads in enumerate(row):
                    exist = (self.PROMPT + step) // 4 + 1
                    others = np.setdiff1d(np.arange(exist), reads)
                    rank = np.concatenate([rng.permutation(reads), rng.permutation(others)[:3]]).astype(int)
                    some = rng.integers(0, 4000, len(reads))
                    self.assertEqual((writer.step, writer.layer), (step, layer))
                    writer.add(reads, ranking=rank[1:], read_bytes=some)
                    self.records.append((reads, rank[1:], some))
        self.trace = kvplace.Trace(self.path("t.kvt"))

    def test_records_are_as_written(self):
        trace = self.trace
        self.assertEqual((trace.model, trace.selection, trace.source, trace.block_bytes, trace.measurements),
                         ("llama-3.1-8b", "random", "a test", 4000, {"perplexity": 12.5}))
        got = [record for step in trace for record in step]
        self.assertEqual(len(got), len(self.records))
        for i, (record, (reads, ranking, read_bytes)) in enumerate(zip(got, self.records)):
            self.assertEqual((record.step, record.layer), divmod(i, self.LAYERS))
            np.testing.assert_array_equal(record.reads, reads)
            np.testing.assert_array_equal(record.ranking, ranking)
            np.testing.assert_array_equal(record.read_bytes, read_bytes)
            np.testing.assert_array_equal(record.appended, [(self.PROMPT + record.step) // 4])
        self.assertEqual(self.json("info", "t.kvt")["measurements"], {"perplexity": 12.5})
        self.assertRegex(self.ok("info", "t.kvt"), r"perplexity +12\.5")

    def part(self, steps, layers):
        return [self.records[step * self.LAYERS + layer] for step in steps for layer in layers]

    def test_arrays_of_parts(self):
        for steps, layers in ((range(40), range(3)), (range(7, 9), range(1, 3)), (range(39, 40), range(2, 3))):
            part = self.part(steps, layers)
            where = {"steps": steps, "layers": (layers.start, layers.stop)}
            for what, column in (("reads", 0), ("ranking", 1), ("read_bytes", 2)):
                begin, values = self.trace.csr(what, **where)
                self.assertEqual((begin.dtype, values.dtype), (np.int64, np.uint32))
                np.testing.assert_array_equal(np.diff(begin), [len(record[column]) for record in part])
                np.testing.assert_array_equal(values, np.concatenate([record[column] for record in part]))
            dense = self.trace.to_numpy("ranking", **where)
            self.assertEqual(dense.shape, (len(steps), len(layers), max(len(record[1]) for record in part)))
            for row, record in zip(dense.reshape(-1, dense.shape[2]), part):
                np.testing.assert_array_equal(row[row >= 0], record[1])
                self.assertTrue((row[len(record[1]):] == -1).all())

    def test_pandas(self):
        frame = self.trace.to_pandas(steps=(3, 20), layers=range(1, 3))
        rows = []
        for step in range(3, 20):
            for layer in range(1, 3):
                reads, ranking, read_bytes = self.records[step * self.LAYERS + layer]
                order = {int(block): rank for rank, block in enumerate(ranking)}
                rows += [(step, layer, block, order.get(block, -1), amount) for block, amount in zip(reads, read_bytes)]
        expected = pd.DataFrame(rows, columns=["step", "layer", "block", "rank", "bytes"])
        pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
        self.assertTrue((frame["rank"] == -1).any())

    def test_dense_is_the_exported_array(self):
        self.trace.export(self.path("a.npy"), "topk-npy", ranking=True)
        self.ok("export", "t.kvt", "-o", "b.npy", "--format", "topk-npy", "--ranking")
        np.testing.assert_array_equal(np.load(self.path("a.npy")), np.load(self.path("b.npy")))
        np.testing.assert_array_equal(np.load(self.path("a.npy")), self.trace.to_numpy("ranking"))

    def test_slice(self):
        part = self.trace.slice(self.path("s.kvt"), steps=range(11, 30), layers=(1, 3))
        self.assertEqual((part.steps, part.layers, part.prompt_tokens), (19, 2, self.PROMPT + 11))
        self.assertEqual(part.measurements, self.trace.measurements)
        for what in ("reads", "appended", "ranking", "read_bytes"):
            np.testing.assert_array_equal(part.to_numpy(what), self.trace.to_numpy(what, steps=(11, 30), layers=(1, 3)))
        self.ok("info", "s.kvt", "--check")

    def test_bad_parts(self):
        for bad in ((0, 41), (5, 5), (-1, 3), range(0, 10, 2)):
            with self.subTest(bad=bad), self.assertRaises(kvplace.BadInput):
                self.trace.to_numpy(steps=bad)
        with self.assertRaisesRegex(kvplace.BadInput, "ranking"):
            self.trace.csr("ranks")
        with self.assertRaisesRegex(kvplace.BadInput, "is the input as well"):
            self.trace.slice(self.path("t.kvt"), steps=(0, 3))


class Writing(CliTest):
    def writer(self, **more):
        return kvplace.TraceWriter(self.path("w.kvt"), layers=2, prompt_tokens=8, block_tokens=4, **more)

    def test_whole_steps(self):
        array = np.array([[[2, 0, -1], [1, -1, -1]], [[2, 0, 1], [0, 2, -1]]], dtype=np.int32)
        writer = self.writer(ranking=True)
        with writer:
            for step in array:
                writer.add_step(step, ranking=step)
        trace = kvplace.Trace(self.path("w.kvt"))
        np.testing.assert_array_equal(trace.to_numpy("ranking"), array)
        np.testing.assert_array_equal(trace[1][0].reads, [0, 1, 2])

    def test_a_served_batch_request_by_request(self):
        """As merge makes it of the traces of single requests; and alike requests as their ids say."""
        random = np.random.default_rng(5)
        prompts, lengths = (9, 14, 3), (6, 4, 5)
        single = [[[random.permutation((prompt + t) // 4 + 1)[:2] for _ in range(2)] for t in range(length)]
                  for prompt, length in zip(prompts, lengths)]
        for i, (prompt, steps) in enumerate(zip(prompts, single)):
            with kvplace.TraceWriter(self.path(f"{i}.kvt"), layers=2, prompt_tokens=prompt, block_tokens=4) as writer:
                for step in steps:
                    writer.add_step(step)
        merged = kvplace.merge([self.path(f"{i}.kvt") for i in range(3)], self.path("m.kvt"), slots=2)
        first = (0, 0, 4)  # the third waits for the second to end
        table = [(p, f, f + n) for p, f, n in zip(prompts, first, lengths)]
        with kvplace.TraceWriter(self.path("s.kvt"), layers=2, prompt_tokens=max(prompts), block_tokens=4,
                                 requests=table) as writer:
            for t in range(merged.steps):
                writer.add_requests({r: single[r][t - f] for r, (_, f, end) in enumerate(table) if f <= t < end})
        self.assertEqual(kvplace.Trace(self.path("s.kvt")).digest, merged.digest)
        with self.writer(requests=3) as writer:
            writer.add_requests({2: [[1, -1], [0, 1]], 0: [[2], [0]]})
        np.testing.assert_array_equal(kvplace.Trace(self.path("w.kvt"))[0][0].reads, [1 * 3 + 2, 2 * 3])
        for words, pages in (("no request 3", {3: [[0], [0]]}), ("one list for each of 2", {0: [[0]]})):
            with self.assertRaisesRegex(kvplace.BadInput, words), self.writer(requests=3) as writer:
                writer.add_requests(pages)

    def test_steps_of_several_tokens(self):
        """Pages of the positions verified are written, and the next step begins behind those accepted."""
        path, steps = self.path("several.kvt"), ((4, 1), (4, 3), (4, 4), (2, 1))
        with kvplace.TraceWriter(path, layers=2, prompt_tokens=6, block_tokens=4, tokens=True) as writer:
            for verified, tokens in steps:
                for _ in range(2):
                    writer.add([0, 1], tokens=tokens, verified=verified)
        trace = kvplace.Trace(path)
        trace.verify_digest()
        self.assertEqual((trace.steps, trace.tokens, trace.verified_per_step, trace.has_tokens), (4, 9, 3.5, True))
        self.assertEqual([(r.tokens, r.verified) for r in (step[1] for step in trace)], [(t, v) for v, t in steps])
        self.assertEqual([r.appended.tolist() for r in (step[0] for step in trace)], [[1, 2], [1, 2], [2, 3], [3]])
        self.assertEqual([r.written_tokens.tolist() for r in (step[0] for step in trace)], [[2, 2], [1, 3], [2, 2], [2]])
        info = trace.info()
        self.assertEqual((info["tokens"], info["verified_per_step"]), (9, 3.5))
        instance = kvplace.Instance(trace, block_bytes=1000, near_blocks_per_layer=2, weight_bytes_per_step=0)
        result = kvplace.compare(trace, instance, ["lru"])["lru"]
        self.assertAlmostEqual(result.tokens_per_s * result.total_s, 9)
        with kvplace.TraceWriter(self.path("one.kvt"), layers=1, prompt_tokens=4) as writer:
            with self.assertRaisesRegex(kvplace.BadInput, "tokens=True"):
                writer.add([0], tokens=2)
            writer.add([0])
        self.assertFalse(kvplace.Trace(self.path("one.kvt")).has_tokens)

    def test_imported_equals_the_commands(self):
        rows = random_rows(5, 2, 30, 20)
        self.make_trace("cli.kvt", rows, 20)
        from cli import fang_csv

        self.write("t.csv", fang_csv(rows))
        trace = kvplace.import_trace(self.path("t.csv"), self.path("py.kvt"), "fang-csv", prompt_tokens=20)
        self.assertEqual(trace.digest, kvplace.Trace(self.path("cli.kvt")).digest)
        with kvplace.TraceWriter(self.path("w.kvt"), layers=2, prompt_tokens=20) as writer:
            for row in rows:
                for reads in row:
                    writer.add(reads)
        self.assertEqual(trace.digest, kvplace.Trace(self.path("w.kvt")).digest)

    def test_refusals_leave_no_file(self):
        for reads in ([3], [1, 0], [0, 0], [-1], [2**32], [0.5], [[0]], ["a"]):
            with self.subTest(reads=reads), self.assertRaises(kvplace.BadInput):
                with self.writer() as writer:
                    writer.add(reads)
            self.assertEqual(self.names(), [])
        with self.assertRaisesRegex(kvplace.BadInput, "ends after layer 0 of 2"):
            with self.writer() as writer:
                writer.add([0])
        with self.assertRaisesRegex(kvplace.BadInput, "ranking=True"):
            with self.writer() as writer:
                writer.add([0], ranking=[0])
        with self.assertRaisesRegex(kvplace.BadInput, "finite"):
            self.writer(measurements={"perplexity": float("nan")})
        with self.assertRaisesRegex(kvplace.BadInput, "layers"):
            kvplace.TraceWriter(self.path("w.kvt"), layers=0, prompt_tokens=1)
        gc.collect()
        self.assertEqual(self.names(), [])

    def test_a_full_disk(self):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        rng = np.random.default_rng(1)
        writer = kvplace.TraceWriter(self.path("w.kvt"), layers=1, prompt_tokens=100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with self.assertRaisesRegex(kvplace.Failed, "w.kvt: cannot be written"):
            with writer:
                for _ in range(400):
                    writer.add(np.sort(rng.choice(100_000, 4_000, replace=False)))
        self.assertEqual(self.names(), [])

    def test_a_finished_writer_takes_nothing(self):
        writer = self.writer()
        writer.add_step([[0], [1]])
        self.assertEqual(writer.finish().steps, 1)
        with self.assertRaisesRegex(kvplace.BadInput, "finished"):
            writer.add([0])


class Errors(CliTest):
    def same_sentence(self, call, *arguments):
        """The command's sentence, but for the folder and for flags that are keywords here."""
        ran = self.run_cli(*arguments)
        with self.assertRaises(kvplace.Error) as caught:
            call()
        self.assertEqual(f"kvplace: {caught.exception}\n".replace(self.folder + "/", ""), ran.err)
        kinds = {1: kvplace.Failed, 2: kvplace.BadInput, 3: kvplace.Interrupted, 4: kvplace.Rejected}
        self.assertIs(type(caught.exception), kinds[ran.code])

    def test_files(self):
        self.write("no.kvt", "not a trace")
        self.write("cut.kvt", Path(BUNDLED).read_bytes()[:1_200_000])
        for name in ("no.kvt", "cut.kvt", "missing.kvt"):
            self.same_sentence(lambda name=name: kvplace.Trace(self.path(name)), "info", name)
        recovered = kvplace.Trace(self.path("cut.kvt"), recover=True)
        self.assertTrue(recovered.recovered)
        self.assertGreater(len(recovered), 0)
        self.assertEqual(recovered.digest, "")
        self.same_sentence(lambda: kvplace.Trace(BUNDLED).export(self.path("x"), "nosuch"), "export", BUNDLED, "-o", "x",
                           "--format", "nosuch")
        self.write("t.csv", "n,l,read_kv\n0,0,\"[0, x]\"\n")
        self.same_sentence(lambda: kvplace.import_trace(self.path("t.csv"), self.path("y.kvt"), "fang-csv"), "import",
                           "t.csv", "-o", "y.kvt", "--format", "fang-csv")


if __name__ == "__main__":
    unittest.main()
