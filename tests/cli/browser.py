"""Pages in Debian's Chromium without a screen: what was drawn, what went wrong, how it looks."""

from __future__ import annotations

import os
import pathlib
import shutil
import unittest
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
ARTIFACTS = pathlib.Path(os.environ["KVPLACE_BUILD_DIR"]) / "test-artifacts"

#: Pixels from left to right, and what the reader prefers.
WAYS = ((1280, "light"), (390, "light"), (390, "dark"), (1280, "dark"))

#: Counts, from the page itself, what stands for a number in a drawn plot; and beside it what its data says.
DRAWN = """() => [...document.querySelectorAll('.drawing')].map((plot) => {
  const layer = (name) => [...plot.querySelectorAll(name)];
  const scatter = layer('.scatterlayer .trace'), bars = layer('.barlayer .trace'), heat = layer('.heatmaplayer image');
  let s = 0, b = 0, h = 0;
  return {id: plot.dataset.figure, alt: plot.getAttribute('aria-label'), height: plot.getBoundingClientRect().height,
    traces: plot.data.map((trace) => {
      if (trace.type === 'bar') return {points: bars[b++].querySelectorAll('.point').length};
      if (trace.type === 'parcoords') return {axes: layer('.parcoords .y-axis').length,
        lines: plot._fullData[0]._length, canvases: plot.querySelectorAll('canvas').length};
      if (trace.type === 'heatmap') return {images: heat[h++] ? 1 : 0};
      const drawn = scatter[s++];
      return {points: drawn.querySelectorAll('path.point').length, lines: drawn.querySelectorAll('path.js-line').length};
    }),
    wide: plot.scrollWidth > plot.clientWidth + 1};
})"""


@unittest.skipUnless(CHROMIUM, "no chromium: scripts/setup --tests installs it")
class BrowserTest(unittest.TestCase):
    """A test with a browser that is offline."""

    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        playwright = sync_playwright().start()
        cls.addClassCleanup(playwright.stop)
        cls.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        cls.addClassCleanup(cls.browser.close)
        ARTIFACTS.mkdir(exist_ok=True)

    @contextmanager
    def opened(self, path: str, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Iterator[Page]:
        """The page once it is drawn; nothing may be asked of a network, and no script may fail."""
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True,
                                           java_script_enabled=scripts)
        page = context.new_page()
        said: list[str] = []
        # Of the browser's own drawing in software, not of the page.
        page.on("console", lambda message: said.append(message.text) if "GL Driver Message" not in message.text else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url != address else None)
        address = pathlib.Path(path).as_uri()
        page.goto(address)
        if scripts:
            page.wait_for_selector("html[data-drawn], html[data-problem]", timeout=20_000, state="attached")
        yield page
        self.assertEqual(said, [])
        context.close()

    def check_drawn(self, page: Page) -> dict[str, dict]:
        """Each figure has as many traces and points as its data says; returns their data by id."""
        figures = {}
        for plot in page.evaluate(DRAWN):
            figure = page.evaluate("(at) => document.querySelectorAll('.drawing')[at].figure", len(figures))
            figures[(plot["id"] or f"figure-{len(figures)}").removeprefix("figure-")] = figure
            with self.subTest(figure=plot["id"]):
                self.assertEqual(len(plot["traces"]), len(figure["data"]))
                self.assertTrue(figure["data"])
                for drawn, trace in zip(plot["traces"], figure["data"]):
                    self.check_trace(drawn, trace)
                self.assertGreater(plot["height"], 150)
                self.assertFalse(plot["wide"])
                self.assertRegex(plot["alt"], r"\d.*\.$")
        self.assertTrue(figures)
        self.assertEqual(page.evaluate("document.documentElement.dataset.drawn"), str(len(figures)))
        return figures

    def check_trace(self, drawn: dict, trace: dict) -> None:
        if trace["type"] == "heatmap":
            self.assertEqual(drawn, {"images": 1})
            self.assertEqual([len(row) for row in trace["z"]], [len(trace["x"])] * len(trace["y"]))
            return
        if trace["type"] == "parcoords":
            lengths = {len(dimension["values"]) for dimension in trace["dimensions"]}
            self.assertEqual({drawn["lines"]}, lengths)
            self.assertEqual(drawn["axes"], len(trace["dimensions"]))
            self.assertGreater(drawn["canvases"], 0)
            return
        self.assertEqual(len(trace["x"]), len(trace["y"]))
        points = sum(x is not None and y is not None for x, y in zip(trace["x"], trace["y"]))
        if trace["type"] == "bar":
            self.assertEqual(drawn["points"], points)
            return
        self.assertEqual(drawn["points"], points if "markers" in trace["mode"] else 0)
        self.assertEqual(drawn["lines"], 1 if "lines" in trace["mode"] else 0)

    def look(self, path: str, name: str, ways: Iterable[tuple[int, str]] = WAYS) -> dict[str, dict]:
        """Draws it wide and narrow, light and dark, keeps screenshots of it and checks that it fits; returns figures."""
        figures = {}
        for width, scheme in ways:
            with self.subTest(width=width, scheme=scheme), self.opened(path, width, scheme) as page:
                figures = self.check_drawn(page)
                self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), width)
                ground, text = page.evaluate("[getComputedStyle(document.body).backgroundColor, "
                                             "getComputedStyle(document.querySelector('.drawing text')).fill]")
                self.assertEqual((brightness(ground) < 128, brightness(text) < 128),
                                 (scheme == "dark", scheme == "light"))
                page.screenshot(path=ARTIFACTS / f"{name}-{width}-{scheme}.png", full_page=True)
        return figures


def brightness(colour: str) -> float:
    """Of "rgb(r, g, b)", 0 to 255."""
    parts = [float(part) for part in colour[colour.index("(") + 1:-1].split(",")[:3]]
    return sum(parts) / 3
