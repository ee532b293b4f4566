"""Pages of results: figures equal the JSON, everything is drawn, nothing is fetched; and what it does when it cannot."""

from __future__ import annotations

import html
import html.parser
import json
import os
import re
import resource
import signal
import subprocess
import time
import unittest

import browser
import cli

LAYERS, STEPS, PROMPT = 3, 100, 24
ROWS = cli.random_rows(11, LAYERS, STEPS, PROMPT)
MACHINE = ("--block-bytes", "4kB", "--hardware", "h100-sxm-pcie5")
UNITS = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
MOST_BYTES = 5_000_000


class Tables(html.parser.HTMLParser):
    """The cells of each table, and the texts of scripts by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.scripts: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_cell = False
        self._script = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_cell = tag in ("td", "th")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif self._in_cell:
            self.tables[-1][-1].append("")
        elif tag == "script":
            self._script = dict(attrs).get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")
        self._script = "" if tag == "script" else self._script

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data
        elif self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


class Report(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, PROMPT)

    def report(self, *flags: object, page: str = "r.html") -> dict:
        return self.json("report", *(flags or (self.trace, *MACHINE, "--near-blocks-per-layer", 8)), "-o", page)

    def page(self, name: str = "r.html") -> str:
        return self.read(name).decode()

    def seconds_of(self, figure: dict, axis: str) -> float:
        """Of its unit, which the axis names."""
        return UNITS[figure["layout"][axis]["title"]["text"].split(", ")[-1]]


class Numbers(Report):
    def test_it_is_what_compare_and_info_say(self) -> None:
        report = self.report()
        flags = (self.trace, *MACHINE, "--near-blocks-per-layer", 8)
        compared = self.json("compare", *flags, "--bound")
        self.assertEqual(report["comparison"], compared)
        self.assertEqual(report["info"], self.json("info", self.trace))
        self.assertEqual(report["budgets"], self.json("budgets", *flags))
        self.assertEqual(json.loads(Tables(self.page()).scripts["result"]), report)

    def test_sweeps_are_comparisons(self) -> None:
        report = self.report(self.trace, *MACHINE, "--near-blocks-per-layer", 8, "--policy", "lru", "--policy", "fifo")
        sweep = report["near_capacity"]
        self.assertEqual(sweep["values"], sorted(sweep["values"]))
        self.assertEqual(sweep["values"][sweep["asked"]], 8 * LAYERS * 4000)
        self.assertEqual(sweep["values"][-1], report["comparison"]["instance"]["blocks_per_layer"] * LAYERS * 4000)
        flags = (self.trace, *MACHINE, "--policy", "lru", "--policy", "fifo")
        for i, capacity in enumerate(sweep["values"]):
            compared = self.json("compare", *flags, "--near-capacity", f"{capacity:.0f}B")
            for policy, result in zip(sweep["policies"], compared["results"]):
                self.assertEqual((policy["policy"], policy["total_s"][i]), (result["policy"], result["total_s"]))
                self.assertLessEqual(sweep["certified_s"][i], result["total_s"] * (1 + 1e-12))
            self.assertEqual(sweep["all_near_s"][i], compared["bounds"]["all_near_s"])
        link = report["link"]
        for i, rate in enumerate(link["values"]):
            compared = self.json("compare", *flags, "--near-blocks-per-layer", 8, "--set",
                                 f"hardware.far.link_read={rate:.0f}B/s", "--set", f"hardware.far.link_write={rate:.0f}B/s")
            for policy, result in zip(link["policies"], compared["results"]):
                self.assertAlmostEqual(policy["total_s"][i] / result["total_s"], 1, delta=1e-12)

    def test_a_step_is_spent_and_every_step_has_a_bottleneck(self) -> None:
        report = self.report()
        for spent, over_time, result in zip(report["spent"], report["over_time"]["policies"],
                                            report["comparison"]["results"]):
            with self.subTest(policy=result["policy"]):
                self.assertEqual((spent["policy"], over_time["policy"]), (result["policy"], result["policy"]))
                step = result["total_s"] / STEPS
                parts = [value for key, value in spent.items() if key != "policy"]
                # Near memory alone may take longer than the step, where another channel's work hides no part of it.
                self.assertGreaterEqual(sum(parts), step * (1 - 1e-12))
                self.assertTrue(spent["link_s"] == 0 or abs(sum(parts) - step) <= 1e-12 * step)
                self.assertAlmostEqual(sum(over_time["total_s"]) / result["total_s"], 1, delta=1e-12)
                sums = [sum(counts) for counts in zip(*over_time["bottleneck_steps"])]
                self.assertEqual(dict(zip(report["over_time"]["channels"], sums)), result["bottleneck_steps"])
        self.assertEqual(report["over_time"]["first_step"], list(range(0, STEPS, report["over_time"]["steps"])))

    def test_the_page_makes_itself_again(self) -> None:
        for flags in ((), (self.trace, *MACHINE, "--near-fraction", 0.3, "--policy", "lru", "--policy", "arc")):
            report = self.report(*flags)
            again = html.unescape(re.findall(r"<pre>(kvplace report.*?)</pre>", self.page(), re.DOTALL)[0])
            command, config = again.split("\n\n# report.toml:\n")
            self.assertEqual(command, "kvplace report --config report.toml -o report.html")
            self.write("report.toml", config)
            self.assertEqual(self.json(*command.split()[1:]), report)
            self.assertEqual(self.page("report.html"), self.page())

    def test_exact_tables_are_the_json(self) -> None:
        compared = self.report()["comparison"]
        found = next(table for table in Tables(self.page()).tables if table[0][:2] == ["policy", "parameters"])
        self.assertEqual(len(found), 1 + len(compared["results"]))
        for cells, result in zip(found[1:], compared["results"]):
            for key, cell in zip(found[0], cells):
                value = result[key]
                self.assertEqual(cell if isinstance(value, str) else json.loads(cell), value, key)
        scalars = {key for key, value in compared["results"][0].items() if not isinstance(value, (list, dict))}
        self.assertLessEqual(scalars, set(found[0]))

    def test_of_every_kind_of_trace(self) -> None:
        self.ok("generate", "mixtral-experts", "--set", "steps=40", "-o", "e.kvt")
        self.make_trace("u.kvt", cli.random_rows(4, LAYERS, 30, PROMPT), PROMPT)
        self.ok("merge", "t.kvt", "u.kvt", "-o", "m.kvt")
        for flags, without in ((("e.kvt", "--model", "mixtral-8x7b", "--near-fraction", 0.4), set()),
                               (("m.kvt", *MACHINE, "--near-fraction", 0.3), {"budgets"}),
                               (("t.kvt", *MACHINE, "--near-fraction", 0.3, "--mode", "exclusive", "--start", "free"), {"budgets"}),
                               (("t.kvt", *MACHINE, "--near-fraction", 1, "--policy", "sa:iterations=2"), set()),
                               (("t.kvt", *MACHINE, "--near-capacity", "0B", "--batch", 3), {"budgets"})):
            with self.subTest(flags=flags):
                self.report(*flags)
                figures = {name for name in Tables(self.page()).scripts if name.startswith("figure-")}
                self.assertEqual(figures, {"figure-" + name for name in (
                    "near-capacity times spent over-time misses reuse budgets link").split() if name not in without})

    def test_one_file_that_asks_nobody(self) -> None:
        self.report()
        page = self.page()
        self.assertLess(len(page), MOST_BYTES)
        self.assertNotRegex(page, r"https?://|@import|url\(|[\"']//")
        for tag, attributes in Tables(page).tags:
            self.assertFalse({"src", "href", "srcset", "action"} & set(attributes), tag)

    def test_html_of_compare_and_advise(self) -> None:
        self.ok("compare", self.trace, *MACHINE, "--near-blocks-per-layer", 8, "--policy", "lru", "--html", "c.html")
        scripts = Tables(self.page("c.html")).scripts
        self.assertEqual({name for name in scripts if name.startswith("figure-")},
                         {"figure-times", "figure-spent", "figure-over-time"})
        self.assertEqual(json.loads(scripts["result"])["comparison"], self.json(
            "compare", self.trace, *MACHINE, "--near-blocks-per-layer", 8, "--policy", "lru"))
        advise = ("advise", "--trace", self.trace, "--model", "smollm2-135m", "--hardware", "h100-sxm-pcie5")
        told = self.json(*advise, "--html", "a.html")
        scripts = Tables(self.page("a.html")).scripts
        self.assertEqual(json.loads(scripts["result"]), told)
        speeds = {trace["name"]: trace for trace in json.loads(scripts["figure-speed"])["data"]}
        self.assertEqual(speeds["best policy"]["y"], [point["best_policy"]["tokens_per_s"] for point in told["points"]])


class Trouble(Report):
    def test_a_full_disk_costs_the_page_alone(self) -> None:
        flags = [self.trace, *MACHINE, "--near-blocks-per-layer", "8", "--policy", "lru"]
        for command in (["report", *flags, "-o", "x.html"], ["compare", *flags, "--html", "x.html"]):
            before = self.names()
            # Without restore_signals the signal of the limit is ignored: writing fails.
            done = subprocess.run([cli.BIN, *command, "--json"], cwd=self.folder, capture_output=True, check=False,
                                  restore_signals=False,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)))
            self.assertEqual(done.returncode, cli.FAILED, done)
            self.assertIn("lru", done.stdout.decode())
            json.loads(done.stdout)
            self.assertRegex(done.stderr.decode(), r"\Akvplace: [^\n]*x\.html[^\n]*cannot be written[^\n]*\n\Z")
            self.assertEqual(self.names(), before)

    def test_a_folder_that_is_read_only_is_told_before_the_work(self) -> None:
        ran = self.run_cli("report", self.trace, *MACHINE, "--near-blocks-per-layer", 8, "-o", "/proc/x.html")
        self.refused(ran, cli.BAD_INPUT, "/proc/x.html")

    def test_interrupted_it_leaves_what_was_there(self) -> None:
        self.write("x.html", "older")
        before = self.names()
        process = cli.start("report", cli.BUNDLED, "--near-blocks-per-layer", 64, "-o", "x.html", cwd=self.folder)
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, cli.LIMIT_REACHED, err)
        self.assertEqual((self.names(), self.read("x.html")), (before, b"older"))


class InABrowser(browser.BrowserTest, Report):
    def test_everything_is_drawn_and_says_what_the_json_says(self) -> None:
        report = self.report()
        figures = self.look(self.path("r.html"), "report")
        self.assertEqual(set(figures), set("near-capacity times spent over-time misses reuse budgets link".split()))
        tokens = STEPS
        for name, key in (("near-capacity", "near_capacity"), ("link", "link")):
            unit = self.seconds_of(figures[name], "yaxis")
            lines = {trace["name"]: trace for trace in figures[name]["data"]}
            for policy in report[key]["policies"]:
                for y, total in zip(lines[policy["policy"]]["y"], policy["total_s"], strict=True):
                    self.assertAlmostEqual(y * unit * tokens / total, 1, delta=1e-12)
            for y, total in zip(lines["(certified)"]["y"], report[key]["certified_s"], strict=True):
                self.assertAlmostEqual(y * unit * tokens / total, 1, delta=1e-12)
        times = figures["times"]
        unit = self.seconds_of(times, "xaxis")
        drawn = {y: x for trace in times["data"] for x, y in zip(trace["x"], trace["y"])}
        for result in report["comparison"]["results"]:
            self.assertAlmostEqual(drawn[result["policy"]] * unit * result["tokens_per_s"], 1, delta=1e-12)
        by_layer = report["info"]["lru_miss_by_capacity_by_layer"]
        self.assertEqual(figures["misses"]["data"][0]["z"], [list(curve.values()) for curve in by_layer])
        self.assertEqual(figures["budgets"]["data"][0]["y"], report["budgets"]["layer_budgets"])

    def test_pages_of_other_verbs(self) -> None:
        self.ok("compare", self.trace, *MACHINE, "--near-blocks-per-layer", 8, "--html", "c.html")
        self.ok("advise", "--trace", self.trace, "--model", "smollm2-135m", "--hardware", "h100-sxm-pcie5", "--html", "a.html")
        self.look(self.path("c.html"), "compare", ((390, "light"),))
        self.look(self.path("a.html"), "advise", ((390, "light"),))

    def test_a_sweep_is_explored(self) -> None:
        self.write("s.toml", 'trace = "t.kvt"\npolicies = ["lru", "fifo"]\ncompute = ["compare"]\nhardware = "h100-sxm-pcie5"\n'
                   'options.block_bytes = "4kB"\n[grid]\n"hardware.far.link_read" = ["16GB/s", "64GB/s"]\n'
                   '"options.near_blocks_per_layer" = [4, 8, 16]\n')
        self.ok("sweep", "s.toml", "-o", "s.sqlite")
        self.ok("sweep", "s.sqlite", "--report", "html", "-o", "s.html")
        with self.opened(self.path("s.html"), width=390) as page:
            figures = self.check_drawn(page)
            page.screenshot(path=browser.ARTIFACTS / "sweep-390-light.png", full_page=True)
        with self.opened(self.path("s.html")) as page:
            figures = self.check_drawn(page)
            rates = {}
            for link in ("16GB/s", "64GB/s"):
                for near in (4, 8, 16):
                    for result in self.json("compare", "t.kvt", *MACHINE, "--near-blocks-per-layer", near, "--set",
                                            f"hardware.far.link_read={link}", "--policy", "lru", "--policy", "fifo")["results"]:
                        rates.setdefault(result["policy"], {}).setdefault(float(link[:2]), []).append(result["tokens_per_s"])
            shown = {trace["name"]: trace for trace in figures["1"]["data"]}
            for policy, by_link in rates.items():
                found = sorted(zip(shown[policy]["x"], shown[policy]["y"]))
                self.assertEqual(found, sorted((link, rate) for link, some in by_link.items() for rate in some))
            best = {link: max(max(rates[policy][link]) for policy in rates) for link in (16.0, 64.0)}
            front = [(16.0, best[16.0])] + ([(64.0, best[64.0])] if best[64.0] > best[16.0] else [])
            self.assertEqual(list(zip(shown["front"]["x"], shown["front"]["y"])), front)
            self.assertEqual([len(d["values"]) for d in figures["0"]["data"][0]["dimensions"]][0], 12)
            page.locator("select[name=label]").select_option(label="fifo")
            self.assertTrue(page.get_by_text("6 of 12 rows.").is_visible())
            self.assertEqual({trace["name"] for trace in self.check_drawn(page)["1"]["data"]}, {"fifo", "front"})
            page.screenshot(path=browser.ARTIFACTS / "sweep-1280-light.png", full_page=True)

    def test_without_scripts_the_tables_are_there(self) -> None:
        self.report()
        with self.opened(self.path("r.html"), scripts=False) as page:
            page.locator("#times summary").click()
            self.assertTrue(page.locator("#times table").is_visible())

    def test_it_prints(self) -> None:
        self.report()
        with self.opened(self.path("r.html"), scheme="dark") as page:
            page.emulate_media(media="print")
            page.wait_for_function("getComputedStyle(document.querySelector('.drawing text')).fill === 'rgb(0, 0, 0)'")
            page.pdf(path=browser.ARTIFACTS / "report.pdf")
            self.assertGreater(os.path.getsize(browser.ARTIFACTS / "report.pdf"), 10_000)


if __name__ == "__main__":
    unittest.main()
