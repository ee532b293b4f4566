"""docs/validation.md is what scripts/validate makes of the published measurements, and its arithmetic is that of its page."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import re
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("KVPLACE_SOURCE_DIR") or Path(__file__).resolve().parents[2])
MIB = 2**20


def script():
    loader = importlib.machinery.SourceFileLoader("validate", str(SOURCE / "scripts/validate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("validate", loader))
    loader.exec_module(module)
    return module


def r1_on_h200(requests: int, context: int, share: float, per_layer: float) -> float:
    """Milliseconds of a step of DeepSeek-R1, 8 x H200, TP 8, from its shape: 61 layers, of which 58 have experts."""
    dense = 3 * 556 * MIB + 58 * 224 * MIB
    experts = 58 * 256 * 42 * MIB * (1 - (1 - 8 / 256) ** requests)
    kv = 61 * (512 + 64) * 2 * requests * context
    return ((dense + experts) / 8 + kv) / 4.8e12 / share * 1e3 + 61 * per_layer


@unittest.skipUnless(os.environ.get("KVPLACE_BIN"), "KVPLACE_BIN names no program")
class Validation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.validate = script()
        cls.page = (SOURCE / "docs/validation.md").read_text(encoding="utf-8")
        emptied = cls.validate.MARK.sub(lambda found: found[1] + found[4], cls.page)
        assert len(emptied) < len(cls.page) / 2
        cls.made, cls.groups = cls.validate.written(emptied)

    def test_the_page_is_what_the_script_makes(self):
        self.assertEqual(self.made.splitlines(), self.page.splitlines())

    def test_predictions_are_those_of_the_shapes(self):
        group = next(group for group in self.groups if group.name == "SGLang, 8 x H200")
        share = group.constants["weights_efficiency"]
        self.assertEqual(group.constants["kv_efficiency"], share)
        per_layer = float(group.constants["layer_overhead"].removesuffix("us")) / 1e3
        compared = 0
        for run, ms in zip(group.runs, group.predicted):
            if run.row["model"] == "examples/deepseek-v3":
                by_hand = r1_on_h200(run.row["batch"], run.row["context"], share, per_layer)
                self.assertAlmostEqual(ms / by_hand, 1, delta=0.003, msg=run.row["what"])
                compared += 1
        self.assertGreater(compared, 10)

    def test_constants_return_the_rows_that_they_are_fitted_on(self):
        for group in self.groups:
            for run, ratio in zip(group.runs, group.ratios):
                if run.row.get("fit"):
                    self.assertAlmostEqual(ratio, 1, delta=0.005, msg=f"{group.name}, {run.row['what']}")

    def test_most_predictions_hold(self):
        ratios = [ratio for group in self.groups for ratio in group.counted(mixed=False)]
        self.assertGreater(len(ratios), 100)
        self.assertGreater(sum(abs(ratio - 1) <= 0.15 for ratio in ratios) / len(ratios), 0.8)

    def test_presets_have_the_constants_that_are_fitted(self):
        of_presets = [group for group in self.groups if group.preset]
        self.assertGreater(len(of_presets), 3)
        for group in of_presets:
            self.assertEqual(group.differs_from_preset(), [], group.name)

    def test_a_row_that_is_off_wants_a_reason(self):
        row = {"name": "tried", "about": "", "hardware": "8xh200", "gpus": 8, "fit": [],
               "rows": [{"model": "examples/deepseek-v3", "what": "1k", "batch": 8, "context": 1024, "ms": 12.0,
                         "source": "a"}]}
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(SystemExit, r"ratio 0\.\d+: say why"):
            self.validate.Group(row, self.validate.Traces(self.validate.new_folder()))
        row["rows"][0] |= {"ms": 4.4, "why": "because"}
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(SystemExit, "there is nothing to say why"):
            self.validate.Group(row, self.validate.Traces(self.validate.new_folder()))

    def test_every_ratio_is_shown_once(self):
        rows = re.findall(r"^\| .* \| (\d\.\d\d|-) \| \[\d+\]", self.page, re.MULTILINE)
        self.assertEqual(len(rows), sum(len(group.runs) for group in self.groups))


if __name__ == "__main__":
    unittest.main()
