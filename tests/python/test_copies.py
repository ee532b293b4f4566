"""Copies of a trace and of an instance, here and in other processes, answer as the originals do."""

import copy
import multiprocessing
import os
import pickle
import shutil
import unittest

import python_test

import kvplace

INSTANCES = {
    "presets": python_test.INSTANCE,
    "a share": {"near_fraction": 1 / 3, "mode": "exclusive", "barrier": "token", "overlap": "none", "seed": 7},
    "single fields": {"hardware": "gb200", "near_capacity": "2GiB", "batch": 3, "start": "empty",
                      "layer_shares": [0.1 + layer / 7 for layer in range(30)],
                      "hardware.far.link_read": "55.123456789GB/s", "options.mirrored_reads": "split"},
    "another model": {"model": "mixtral-8x7b", "near_blocks_per_layer": 7, "model.name": 'a "name"'},
    "no model": {"near_blocks_per_layer": 7, "model.flops_per_layer_per_step": "3GFLOP", "hardware.interference": 0.125},
}
POLICIES = ["lru", "random"]


def answers(trace, instance):
    """All that is told of both, but for how long it took."""
    compared = kvplace.compare(trace, instance, POLICIES, threads=1).to_dict()
    return [compared["results"], compared["bounds"], compared["instance"], instance.to_dict(), instance.to_toml(),
            instance.notes, trace.digest, trace.num_reads, trace[3][1].reads.tolist()]


class Copies(python_test.CliTest):
    def setUp(self):
        super().setUp()
        whole = kvplace.Trace(python_test.BUNDLED)
        self.trace = whole.slice(self.path("t.kvt"), steps=(0, 40))

    def test_pickle_and_deepcopy(self):
        for name, keywords in INSTANCES.items():
            with self.subTest(name):
                instance = kvplace.Instance(self.trace, **keywords)
                expected = answers(self.trace, instance)
                for copied in (pickle.loads(pickle.dumps(instance)), copy.deepcopy(instance), copy.copy(instance)):
                    self.assertIsInstance(copied, kvplace.Instance)
                    self.assertEqual(answers(copied.trace, copied), expected)
                    self.assertEqual(answers(self.trace, copied), expected)
                    self.assertEqual(repr(copied), repr(instance))

    def test_together_they_stay_together(self):
        instance = kvplace.Instance(self.trace, **python_test.INSTANCE)
        trace, copied = pickle.loads(pickle.dumps((self.trace, instance)))
        self.assertIs(copied.trace, trace)

    def test_files_of_the_configuration_are_not_needed_again(self):
        config = self.path("c.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(kvplace.Instance(self.trace, **INSTANCES["single fields"]).show_config())
        instance = kvplace.Instance(self.trace, config=config)
        pickled, expected = pickle.dumps(instance), answers(self.trace, instance)
        os.remove(config)
        self.assertEqual(answers(self.trace, pickle.loads(pickled)), expected)

    def test_other_processes(self):
        """As joblib and Dask do it: new interpreters, in a folder of their own; a relative path still leads there."""
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            trace = kvplace.Trace("t.kvt")
            instances = [kvplace.Instance(trace, **keywords) for keywords in list(INSTANCES.values())[:2]]
            with multiprocessing.get_context("spawn").Pool(1, initializer=os.chdir, initargs=("/",)) as pool:
                found = pool.starmap(answers, [(trace, instance) for instance in instances])
                compared = pool.apply(kvplace.compare, (trace, instances[0], POLICIES))
        finally:
            os.chdir(before)
        self.assertEqual(found, [answers(trace, instance) for instance in instances])
        self.assertEqual(compared.to_dict()["results"], found[0][0])

    def test_a_file_that_changed(self):
        pickled = pickle.dumps(kvplace.Instance(self.trace, **python_test.INSTANCE))
        other = kvplace.Trace(python_test.BUNDLED).slice(self.path("other.kvt"), steps=(0, 41))
        shutil.copy(other.path, self.trace.path)
        with self.assertRaisesRegex(kvplace.BadInput, rf"t.kvt: holds another trace than when it was pickled.*"
                                                      rf"{other.digest}.*{self.trace.digest}"):
            pickle.loads(pickled)
        os.remove(self.trace.path)
        with self.assertRaisesRegex(kvplace.BadInput, "t.kvt: "):
            pickle.loads(pickled)

    def test_a_recovered_trace(self):
        """It has no digest; the numbers of steps and reads stand for it."""
        with kvplace.TraceWriter(self.path("whole.kvt"), layers=1, prompt_tokens=9, chunk_bytes=64) as writer:
            for step in range(50):
                writer.add([0, 1 + step % 8])
        with open(self.path("whole.kvt"), "rb") as file:
            content = file.read()
        with open(self.path("cut.kvt"), "wb") as file:
            file.write(content[:-100])
        cut = kvplace.Trace(self.path("cut.kvt"), recover=True)
        copied = pickle.loads(pickle.dumps(cut))
        self.assertTrue(copied.recovered)
        self.assertEqual((copied.steps, copied.num_reads), (cut.steps, cut.num_reads))
        shutil.copy(self.path("whole.kvt"), cut.path)
        whole = kvplace.Trace(cut.path, recover=True)
        self.assertFalse(whole.recovered)
        with self.assertRaisesRegex(kvplace.BadInput, "cut.kvt: holds another trace"):
            copy.copy(cut)


if __name__ == "__main__":
    unittest.main()
