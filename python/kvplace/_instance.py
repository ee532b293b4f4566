"""Instances: a machine, a model and a trace."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

from . import _core
from ._errors import BadInput
from ._presets import Hardware, Model, Preset, Value, list_settings, text_of
from ._trace import Trace
from ._types import check_keywords, checked

PresetLike = Union[str, "os.PathLike[str]", Preset]
_Entry = tuple[str, str, str]

# Those of Instance that set one field: keyword to key.
_KEYWORDS = {setting["keyword"]: setting["key"] for setting in list_settings()
             if setting["keyword"] and "." in setting["key"]}
_SECTIONS = ("hardware", "model", "engine", "options")


def _preset_entries(section: str, preset: PresetLike) -> list[_Entry]:
    if not isinstance(preset, Preset):
        return [(section, text_of(preset), section)]
    base = [(section, preset._base, section)]
    return base + [(f"{section}.{key}", text, section) for key, text in preset._changes.items()]


def entries_of(
    config: str | os.PathLike[str] | None,
    hardware: PresetLike | None,
    model: PresetLike | None,
    engine: str | os.PathLike[str] | None,
    options: Mapping[str, Value | None],
    fields: Mapping[str, Value],
) -> list[_Entry]:
    """The entries of a configuration file, then those of the keywords, then single fields: the command's order."""
    entries = []
    if config is not None:
        for key, text, where in _core.read_toml(os.fspath(config)):
            if key.split(".")[0] in _SECTIONS:
                entries.append((key, text, where))
            elif key != "trace" and not key.startswith("policies."):
                raise BadInput(f"{where}: unknown key '{key}'; known are trace, policies, hardware, model, engine and options")
    if hardware is not None:
        entries += _preset_entries("hardware", hardware)
    if model is not None:
        entries += _preset_entries("model", model)
    if engine is not None:
        entries += _preset_entries("engine", engine)
    entries += [(_KEYWORDS[key], text_of(value), key) for key, value in options.items() if value is not None]
    entries += [(key, text_of(value), "Instance") for key, value in fields.items()]
    return entries


class Instance(_core.Instance):
    """A machine, a model and a trace, resolved to the numbers that costs are computed from. Immutable.

    The keywords are the flags of ``kvplace compare``; any other field is given by its key. ``hardware`` and ``model``
    also take a Hardware and a Model, ``layer_shares`` the ``blocks`` that ``kvplace.budgets`` finds. At most one of the
    three near capacities is given; of a number of bytes, ``near_capacity=f"{size}B"``::

        Instance(trace, hardware="h100-sxm-pcie5", near_blocks_per_layer=96, weight_bytes_per_step=0,
                 **{"hardware.far.link_read": "55GB/s"})

    :param trace: the trace; an instance is of one trace.
    :param config: TOML file, as ``kvplace show-config`` prints it; all that is given beside it overrides it.
    :param hardware: preset or FILE.toml; default: ``fang2025``, the paper's machine.
    :param model: preset, FILE.toml, or a Hugging Face config.json (or a folder that holds one); default: what the trace
        names.
    :param engine: preset or FILE.toml: overlap, overheads and efficiencies of an engine (docs/engines.md); default: an
        ideal one.
    :param kv_dtype: dtype of the KV cache, which its size follows; default: the model's.
    :param near_capacity: near bytes left for the KV (and experts) of all requests, like ``"16GiB"`` or ``"5.38 GiB"``;
        a bare number is an error; default: near memory less the model's weights.
    :param near_blocks_per_layer: near capacity as blocks per layer of the trace's request; at most all.
    :param near_fraction: near capacity as a share of all blocks at the trace's end, 0 to 1.
    :param layer_shares: how policies with a buffer per layer divide the near capacity: a number per layer, relative to
        their sum; default: equally.
    :param mode: ``"inclusive"`` (far has a copy of every block) or ``"exclusive"`` (there is one copy); default:
        ``"inclusive"``.
    :param barrier: where the two sides wait for each other: ``"layer"`` or ``"token"``; default: ``"layer"``.
    :param overlap: far reads beside near reads: ``"full"`` (the slower side counts), or before them: ``"none"`` (both
        add up); default: ``"full"``.
    :param start: near at the first decode step: ``"recent"``, ``"empty"`` or ``"free"`` (oracle policies only);
        default: ``"recent"``.
    :param copies: a promotion's bytes move in the step that decides it: ``"step"``, or in the link's idle time of that
        and later steps: ``"background"``; default: ``"step"``.
    :param batch: the trace stands for one of so many like requests, decoded together; default: 1.
    :param block_bytes: bytes of a KV page: ``12288`` or ``"12KiB"``; default: model, else trace.
    :param weight_bytes_per_step: weights read in each layer of a decode step, bytes; default: model, else 0.
    :param gpus: GPUs of the deployment, of which the instance is one GPU's share; default: 1.
    :param attention_tp: GPUs that share the heads of a request (tensor parallelism); default: ``--gpus`` /
        ``--attention-dp``.
    :param attention_dp: groups of GPUs that share the requests (data parallelism of attention); default: ``--gpus`` /
        ``--attention-tp``, else 1.
    :param expert_parallel: whole routed experts on each GPU; else a part of each of them; default: false.
    :param seed: of policies that draw random numbers; default: 0.
    :param layer_budgets: FILE.json or FILE.toml of ``kvplace budgets``: how policies with a buffer per layer divide the
        near capacity; default: equally.
    :param fields: any field of ``hardware.``, ``model.`` or ``options.`` by its key.

    Raises BadInput if a key is unknown, a value is out of range or lacks its unit, or fields contradict each other.
    """

    @checked
    def __init__(
        self,
        trace: Trace,
        *,
        config: str | os.PathLike[str] | None = None,
        hardware: PresetLike | None = None,
        model: PresetLike | None = None,
        kv_dtype: str | None = None,
        engine: str | os.PathLike[str] | None = None,
        near_capacity: str | int | float | None = None,
        near_blocks_per_layer: int | None = None,
        near_fraction: float | None = None,
        mode: str | None = None,
        barrier: str | None = None,
        overlap: str | None = None,
        batch: int | None = None,
        block_bytes: str | int | float | None = None,
        weight_bytes_per_step: str | int | float | None = None,
        start: str | None = None,
        seed: int | None = None,
        copies: str | None = None,
        gpus: int | None = None,
        attention_tp: int | None = None,
        attention_dp: int | None = None,
        expert_parallel: bool | None = None,
        layer_shares: Sequence[float] | None = None,
        layer_budgets: str | os.PathLike[str] | None = None,
        **fields: Value,
    ) -> None:
        if layer_budgets is not None:
            if layer_shares is not None:
                raise BadInput("give layer_shares or layer_budgets, not both")
            layer_shares = _core.read_layer_budgets(os.fspath(layer_budgets))
        given = locals()
        options = {key: given[key] for key in _KEYWORDS}
        presets = [preset._base if isinstance(preset, Preset) else preset for preset in (hardware, model, engine)]
        files = [os.fspath(name) for name in (config, layer_budgets, *presets) if name is not None]
        self._files = _core.InputFiles(files)
        super().__init__(trace, entries_of(config, hardware, model, engine, options, fields))
        self.trace = trace

    #: The trace it was made for.
    trace: Trace

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, has the same resolved configuration, whatever becomes of files."""
        return _resolved_again, (type(self), self.trace, self.to_toml())

    def to_dict(self) -> dict[str, Any]:
        """The resolved fields and numbers; ``instance`` of the command's JSON."""
        return json.loads(self.json())  # type: ignore[no-any-return]

    @checked
    def show_config(self, policies: str | Sequence[str] | None = None) -> str:
        """TOML that makes the same comparison again, with ``kvplace compare --config FILE`` or here with ``config=``.

        :param policies: as in ``compare``; default: those compared if none is named.
        """
        texts = _policy_texts(policies) or _core.policies(self)
        return _config_text(self.to_toml(), texts, os.fspath(self.trace.path))

    def __repr__(self) -> str:
        return _core.describe(self.trace, self).rstrip("\n")


def _policy_texts(policies: str | Sequence[str] | None) -> list[str]:
    """Policies with all their parameters."""
    return [_core.policy(text) for text in ([policies] if isinstance(policies, str) else policies or ())]


def _resolved_again(kind: type[Instance], trace: Trace, toml: str) -> Instance:
    """A pickled instance."""
    instance = kind.__new__(kind)
    _core.Instance.__init__(instance, trace, _core.parse_toml(toml, "pickled instance"))
    instance.trace = trace
    return instance


def _config_text(toml: str, policies: Sequence[str], trace: str | None = None) -> str:
    head = "# kvplace compare TRACE --config FILE runs this on a trace\n"
    if trace is not None:
        head = f"# kvplace compare --config FILE runs this again\ntrace = {_core.toml_string(trace)}\n"
    if policies:
        head += "policies = [" + ", ".join(f'"{text}"' for text in policies) + "]\n"
    return head + toml


@checked
def show_config(
    trace: Trace | None = None, *, policies: str | Sequence[str] | None = None, config: str | os.PathLike[str] | None = None,
    hardware: PresetLike | None = None, model: PresetLike | None = None, engine: str | os.PathLike[str] | None = None,
    **keywords: Any,
) -> str:
    """The resolved configuration as TOML, ``kvplace show-config``. Keywords as those of Instance; the trace may be left
    out."""
    if trace is not None:
        instance = Instance(trace, config=config, hardware=hardware, model=model, engine=engine, **keywords)
        return instance.show_config(policies)
    check_keywords(Instance.__init__, keywords)
    options = {key: keywords.pop(key) for key in _KEYWORDS if key in keywords}
    toml = _core.resolved_toml(entries_of(config, hardware, model, engine, options, keywords))
    return _config_text(toml, _policy_texts(policies))
