"""Presets of machines and models, and listings of what there is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, Union

from . import _core
from ._types import checked

#: A field's value as one may write it: a text with its unit ("55GB/s"), a plain number or bool, or a list of numbers. A
#: number is bytes where the key says bytes; elsewhere a quantity needs its unit.
Value = Union[str, int, float, bool, Sequence[float]]
_Self = TypeVar("_Self", bound="Preset")


def text_of(value: Value | os.PathLike[str]) -> str:
    """A value as the text a flag of the command would have."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(float(value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str):
        return value
    return "[" + ", ".join(map(text_of, value)) + "]" if isinstance(value, Iterable) else str(value)


class Preset(Mapping[str, str]):
    """Named fields as texts with their units, as in a TOML file; ``number(key)`` gives a figure as a number."""

    _kind: str

    @checked
    def __init__(self, name_or_file: str | os.PathLike[str], changes: Mapping[str, Value] | None = None) -> None:
        self._base = text_of(name_or_file)
        self._changes = {key: text_of(value) for key, value in (changes or {}).items()}
        fields, self.provenance = getattr(_core, self._kind)(self._base, list(self._changes.items()))
        self._fields: dict[str, str] = dict(fields)

    #: Where each figure is from: key to "spec|measured|estimated: source".
    provenance: dict[str, str]

    @property
    def name(self) -> str:
        """Name of the preset, or the name the file states."""
        return self._fields["name"]

    @checked
    def number(self, key: str) -> float:
        """The figure of a field in bytes, bytes/s, seconds, FLOP or FLOP/s. Raises KeyError if it is not set."""
        number = _core.number_of(self[key])
        if number is None:
            raise KeyError(f"{key} is no number: {self[key]!r}")
        return number

    @checked
    def replace(self: _Self, changes: Mapping[str, Value]) -> _Self:
        """The same with other values, as ``replace({"far.link_read": "55GB/s"})``. Raises BadInput, naming the nearest
        known key, if a key is unknown or a value has no unit."""
        return type(self)(self._base, {**self._changes, **changes})

    def to_dict(self) -> dict[str, Any]:
        """The fields as texts, and ``provenance``; what ``kvplace list --json`` prints."""
        return {**self._fields, "provenance": dict(self.provenance)}

    def __getitem__(self, key: str) -> str:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        width = max(map(len, self._fields))
        lines = (f"  {key:<{width}}  {text}" for key, text in self._fields.items() if key != "name")
        return "\n".join([f"{self._kind} {self.name}", *lines])


class Hardware(Preset):
    """A machine: near and far memory and the links between them. A preset by name (``list_hardware()``) or a TOML file.

    >>> kvplace.Hardware("h100-sxm-pcie5").number("far.link_read")      # bytes/s
    64000000000.0
    """

    _kind = "hardware"


class Model(Preset):
    """A language model, as far as bytes go. A preset by name (``list_models()``) or a TOML file."""

    _kind = "model"


def _listing(what: str) -> list[dict[str, Any]]:
    return json.loads(_core.listing(what))  # type: ignore[no-any-return]


def list_policies() -> list[dict[str, Any]]:
    """The policies: name, information, doc, source, parameters (each with unit, default, least, most)."""
    return _listing("policies")


def list_hardware() -> list[dict[str, Any]]:
    """The machines: their fields as texts, and the provenance of the figures."""
    return _listing("hardware")


def list_models() -> list[dict[str, Any]]:
    """The models: their fields as texts, and the provenance of the figures."""
    return _listing("models")


def list_engines() -> list[dict[str, Any]]:
    """The engines: their fields as texts, and the provenance of the figures."""
    return _listing("engines")


def list_formats() -> list[dict[str, Any]]:
    """The foreign trace formats: name, doc, and whether each can be imported and exported."""
    return _listing("formats")


def list_generators() -> list[dict[str, Any]]:
    """The presets of synthetic traces: name, description and shape."""
    return _listing("generators")


def list_settings() -> list[dict[str, Any]]:
    """The settings of an instance: key, flag, keyword, range, default, doc."""
    return _listing("settings")


def list_results() -> list[dict[str, Any]]:
    """The fields of a result: key, unit, type of its JSON, whether it is optional, doc."""
    return _listing("results")
