"""How results show themselves in notebooks: a small table, and plotly's figures."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from . import _core
from ._errors import BadInput, Failed
from ._types import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Shown:
    """A result with figures and a table; both are made from its JSON."""

    #: Whose JSON it is, as the figures are asked for.
    _kind: str

    def to_dict(self) -> dict[str, Any]:
        """The command's JSON object (docs/json.md)."""
        raise NotImplementedError

    def _rows(self) -> list[dict[str, Any]]:
        """The small table: a row each, all with the same keys."""
        raise NotImplementedError

    @checked
    def plot(self, figure: str = "") -> go.Figure:
        """A figure of plotly, which displays itself in a notebook: the one of that name, or the first.

        Raises BadInput, with the names that there are, for another; Failed without plotly: pip install 'kvplace[report]'.
        """
        try:
            import plotly.graph_objects as go
        except ImportError:
            raise Failed("figures need plotly: pip install 'kvplace[report]'") from None
        figures = {name: (note, text) for name, _, _, note, text in _core.figures(self._kind, json.dumps(self.to_dict()))}
        name = figure or next(iter(figures))
        if name not in figures:
            raise BadInput(f"figure: there is no {name!r} here, but {', '.join(figures)}")
        note, text = figures[name]
        if not text:
            raise BadInput(f"figure: {name!r} shows nothing here: {note}")
        return go.Figure(json.loads(text))

    def _repr_html_(self) -> str:
        rows = self._rows()
        head = "".join(f"<th>{html.escape(key)}</th>" for key in rows[0]) if rows else ""
        body = "".join("<tr>" + "".join(f"<td>{html.escape(_text(value))}</td>" for value in row.values()) + "</tr>"
                       for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
