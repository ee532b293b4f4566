"""Arrays and files that Python reads and the C++ library does not: each becomes a file that it reads."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import BadInput

_AXES = ("tokens", "layers", "k")

#: SGLang's forward_mode of a pass that decodes.
_DECODE = 2


def array_of(topk: Any, layout: str) -> NDArray[Any]:
    """An array of numpy or torch as [tokens, layers, k], no copy."""
    if hasattr(topk, "detach"):
        topk = topk.detach().cpu()
    array = np.asarray(topk)
    axes = [axis.strip() for axis in layout.split(",")]
    if sorted(axes) not in (["k", "tokens"], sorted(_AXES)):
        raise BadInput(f"layout: {layout!r} is no order of tokens, layers and k, as 'tokens,layers,k' or 'layers,tokens,k'")
    if array.ndim != len(axes):
        raise BadInput(f"topk: has {array.ndim} dimensions, its layout {layout!r} names {len(axes)}")
    if "layers" not in axes:
        axes.append("layers")
        array = array[..., np.newaxis]
    return array.transpose([axes.index(axis) for axis in _AXES])


@contextlib.contextmanager
def saved(array: NDArray[Any], name: str) -> Iterator[str]:
    """The array as a .npy file while the block lasts; errors call it by ``name``."""
    with _standing_for(name, os.path.basename(name)) as path:
        with open(path, "wb") as file:  # in a temporary folder
            np.lib.format.write_array(file, array)
        yield path


@contextlib.contextmanager
def readable(path: str) -> Iterator[tuple[str, int | None]]:
    """A file that the library reads, with what ``path`` holds, and the number of experts if its ids are experts."""
    head = b""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            head = file.read(512)
    if head.startswith(b"PAR1"):
        with _standing_for(path, os.path.basename(path)) as lines:
            _parquet_to_json_lines(path, lines)
            yield lines, None
    elif head.startswith(b"PK\x03\x04") and b"data.pkl" in head:
        topk, experts = _experts_of_recorder(path)
        with saved(topk, path) as array:
            yield array, experts
    else:
        yield path, None


@contextlib.contextmanager
def _standing_for(name: str, file_name: str) -> Iterator[str]:
    """A temporary file in the place of ``name``, which errors speak of."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, file_name)
        try:
            yield path
        except BadInput as error:
            raise BadInput(str(error).replace(path, name)) from None


def _parquet_to_json_lines(path: str, out: str) -> None:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise BadInput(f"{path}: is Parquet, which needs pyarrow: pip install pyarrow") from None
    with open(out, "w", encoding="utf-8") as lines:  # in a temporary folder
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                lines.write(json.dumps(row, default=str) + "\n")


def _experts_of_recorder(path: str) -> tuple[NDArray[Any], int]:
    """Decode steps of SGLang's expert distribution recorder in the mode per_token: [tokens, layers, k] and experts."""
    try:
        import torch
    except ImportError:
        raise BadInput(f"{path}: is of PyTorch, which reads it: pip install torch") from None
    try:
        recorded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds
        raise BadInput(f"{path}: cannot be read by torch.load: {str(error).splitlines()[0]}") from None
    if not isinstance(recorded, dict) or "records" not in recorded:
        if isinstance(recorded, dict) and "logical_count" in recorded:
            raise BadInput(f"{path}: holds how often each expert was chosen, which gives their skew but no order of "
                           "steps, so it makes no trace: record with expert_distribution_recorder_mode per_token")
        raise BadInput(f"{path}: is no recording of SGLang's expert distribution recorder: expected records")
    rows: list[NDArray[Any]] = []
    for record in recorded["records"]:
        if "topk_ids_of_layer" not in record:
            raise BadInput(f"{path}: holds counts of experts per pass, which make no trace: record with "
                           "expert_distribution_recorder_mode per_token")
        if int(record["forward_mode"]) != _DECODE:
            continue
        topk = record["topk_ids_of_layer"].numpy()
        if topk.ndim != 3 or topk.shape[1] != 1:
            raise BadInput(f"{path}: decode step {len(rows)} has {topk.shape[1] if topk.ndim == 3 else 'no'} tokens: it "
                           "holds several requests, and a trace is made of one here; record one request alone")
        rows.append(topk[:, 0, :])
    if not rows:
        raise BadInput(f"{path}: holds no decode step")
    places = recorded.get("last_physical_to_logical_map")
    if places is None:
        return np.stack(rows), int(max(row.max() for row in rows)) + 1
    places = places.numpy()
    if not (places == np.arange(places.shape[-1])).all():
        raise BadInput(f"{path}: experts were moved or copied (last_physical_to_logical_map), so that ids are places: "
                       "record without EPLB")
    return np.stack(rows), int(places.shape[-1])
