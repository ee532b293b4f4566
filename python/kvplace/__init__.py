"""kvplace: what each placement of an LLM's KV cache across near and far memory costs, and what is possible."""

from . import select
from ._core import Interrupt, Record
from ._errors import BadInput, Error, Failed, Interrupted, Rejected
from ._trace import Trace

__all__ = ["BadInput", "Error", "Failed", "Interrupt", "Interrupted", "Record", "Rejected", "Trace", "select"]
