"""What the tests of the Python package share: a folder per test, small traces, the command beside the package."""

from __future__ import annotations

import os
import pathlib
import sys

SOURCE_DIR = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE_DIR / "tests/cli"))

from cli import BUNDLED, CliTest, random_rows  # noqa: E402, F401

# An instance at which placement matters on the bundled trace, as keywords and as flags of the command.
INSTANCE = {"hardware": "h100-sxm-pcie5", "near_blocks_per_layer": 96, "weight_bytes_per_step": 0}
FLAGS = ("--hardware", "h100-sxm-pcie5", "--near-blocks-per-layer", 96, "--weight-bytes-per-step", 0)

# pip's options for a package made of what the build under test has compiled.
BUILD_DIR = pathlib.Path(os.environ.get("KVPLACE_BUILD_DIR") or SOURCE_DIR / "build/dev")
PACK = ("--no-deps", "--no-build-isolation", "--no-index", "-q", "-C", f"build-dir={BUILD_DIR / 'wheel'}",
        "-C", "build.targets=all", "-C", f"cmake.define.KVPLACE_PACK_BUILD={BUILD_DIR}")
