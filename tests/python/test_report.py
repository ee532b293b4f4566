"""Pages and figures from Python: the command's, and what notebooks show of results."""

import builtins
import json
import re
import unittest
from unittest import mock

import plotly.graph_objects as go

import kvplace
from python_test import CliTest, random_rows

FLAGS = ("--hardware", "h100-sxm-pcie5", "--block-bytes", 4000, "--near-blocks-per-layer", 8)


class Report(CliTest):
    def setUp(self):
        super().setUp()
        self.make_trace("t.kvt", random_rows(3, 2, 40, 20), 20)
        self.trace = kvplace.Trace(self.path("t.kvt"))
        self.instance = kvplace.Instance(self.trace, hardware="h100-sxm-pcie5", block_bytes=4000, near_blocks_per_layer=8)

    def script(self, page, name):
        text = self.read(page).decode()
        return json.loads(re.search(rf'id="{name}">(.*?)</script>', text, re.DOTALL)[1])

    def test_it_is_the_commands(self):
        report = kvplace.report(self.trace, self.instance, self.path("p.html"), ["lru", "belady"])
        told = self.json("report", self.path("t.kvt"), *FLAGS, "--policy", "lru", "--policy", "belady", "-o", "c.html")
        self.assertEqual(report.to_dict(), told)
        self.assertEqual(self.read("p.html"), self.read("c.html"))
        text = self.ok("report", self.path("t.kvt"), *FLAGS, "--policy", "lru", "--policy", "belady", "-o", "c.html")
        self.assertEqual(text.splitlines()[1:-1], repr(report).splitlines())

    def test_pages_of_compare_and_advise(self):
        compared = kvplace.compare(self.trace, self.instance, "lru", html=self.path("p.html"))
        self.ok("compare", self.path("t.kvt"), *FLAGS, "--policy", "lru", "--html", "c.html")
        self.assertEqual(self.read("p.html"), self.read("c.html"))
        self.assertEqual(self.script("p.html", "result")["comparison"], compared.to_dict())
        advice = kvplace.advise("smollm2-135m", "h100-sxm-pcie5", trace=self.trace, html=self.path("a.html"))
        self.assertEqual(self.script("a.html", "result"), advice.to_dict())

    def results(self):
        yield kvplace.compare(self.trace, self.instance, ["lru", "fifo"]), "times", "lru"
        yield self.trace.info(), "misses", "overlap"
        yield kvplace.bound(self.trace, self.instance), "bounds", "planned schedule"
        yield kvplace.size(self.trace, self.instance, "90%", policies="lru"), "size", "(certified)"
        yield kvplace.budgets(self.instance), "budgets", "layer"
        yield kvplace.advise("smollm2-135m", "h100-sxm-pcie5", trace=self.trace), "speed", "best policy"
        yield kvplace.report(self.trace, self.instance, self.path("r.html"), "lru"), "near-capacity", "lru"

    def test_every_result_has_figures_and_a_table(self):
        for result, name, cell in self.results():
            with self.subTest(result=type(result).__name__):
                figure = result.plot()
                self.assertIsInstance(figure, go.Figure)
                self.assertEqual(figure, result.plot(name))
                self.assertTrue(figure.data)
                table = result._repr_html_()
                self.assertRegex(table, r"\A<table>.*</table>\Z")
                self.assertIn(cell, table)
                with self.assertRaisesRegex(kvplace.BadInput, rf"no 'x' here, but .*{name}"):
                    result.plot("x")

    def test_a_figure_has_the_results_numbers(self):
        compared = kvplace.compare(self.trace, self.instance, ["lru", "fifo"])
        figure = compared.plot()
        self.assertEqual(figure.layout.xaxis.title.text, "time per token, ns")
        drawn = {y: x for trace in figure.data for x, y in zip(trace.x, trace.y)}
        for result in compared:
            self.assertAlmostEqual(drawn[result.policy] * 1e-9 * result.tokens_per_s, 1, delta=1e-12)
        report = kvplace.report(self.trace, self.instance, self.path("r.html"), ["lru"])
        self.assertEqual(report.plot("over-time").data[0].y, ("lru",))
        self.assertEqual(json.loads(report.plot("link").to_json())["data"], self.script("r.html", "figure-link")["data"])

    def test_without_plotly_it_says_what_to_install(self):
        compared = kvplace.compare(self.trace, self.instance, "lru")
        find = builtins.__import__

        def without(name, *rest):
            if name.startswith("plotly"):
                raise ImportError(name)
            return find(name, *rest)

        with mock.patch("builtins.__import__", without):
            with self.assertRaisesRegex(kvplace.Failed, r"pip install 'kvplace\[report\]'"):
                compared.plot()

    def test_trouble(self):
        with self.assertRaisesRegex(kvplace.BadInput, "x.html"):
            kvplace.report(self.trace, self.instance, self.path("no/x.html"))
        with self.assertRaisesRegex(kvplace.BadInput, "is the input as well"):
            kvplace.report(self.trace, self.instance, self.path("t.kvt"))
        with self.assertRaisesRegex(kvplace.BadInput, "time_limit"):
            kvplace.report(self.trace, self.instance, self.path("x.html"), time_limit=-1)


if __name__ == "__main__":
    unittest.main()
