"""Traces in Python: what is written is read back, views are views, errors are the command's."""

import unittest

import kvplace
from python_test import BUNDLED, CliTest


class Reading(unittest.TestCase):
    def test_records_of_the_bundled_trace(self):
        trace = kvplace.Trace(BUNDLED)
        self.assertEqual((trace.layers, trace.steps, len(trace), trace.block_tokens), (30, 4096, 4096, 16))
        self.assertEqual([record.layer for record in trace[-1]], list(range(30)))
        self.assertEqual(sum(len(record.reads) for step in trace for record in step), trace.num_reads)


class Errors(CliTest):
    def test_the_sentence_is_the_commands(self):
        name = self.write("no.kvt", "not a trace")
        ran = self.run_cli("info", name)
        with self.assertRaises(kvplace.BadInput) as caught:
            kvplace.Trace(self.path(name))
        self.assertEqual(f"kvplace: {caught.exception}\n".replace(self.folder + "/", ""), ran.err)


if __name__ == "__main__":
    unittest.main()
