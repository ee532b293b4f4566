"""What goes wrong, as exceptions. The sentence is the one the command prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ._core import Outputs

_Result = TypeVar("_Result")


class Error(Exception):
    """Base of all errors of kvplace."""

    #: What the call would have returned, if only one of its files could not be written (a full disk); else None.
    result: Any = None


def unless_unwritten(result: _Result, outputs: Outputs) -> _Result:
    """The result; raises if one of its files could not be written, with the result at hand."""
    try:
        outputs.check()
    except Error as error:
        error.result = result
        raise
    return result


class BadInput(Error, ValueError):
    """The input is wrong; the message names file, place and mend. The command's exit code 2."""


class Failed(Error, RuntimeError):
    """Something could not be done: disk full, out of memory. The command's exit code 1."""


class Rejected(Error):
    """A schedule or a certificate does not prove what it claims. The command's exit code 4."""


class Interrupted(Error):
    """Stopped through an Interrupt before there was anything to return. The command's exit code 3."""
