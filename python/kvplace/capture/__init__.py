"""Capture: from a model of transformers and a text to a trace of what decode reads.

    from kvplace.capture import capture, capture_text, load_model

    model, tokenizer = load_model("smollm2")
    capture_text(model, tokenizer, text, prompt_tokens=4096, decode_tokens=1024, select="quest:page=16,pages=64",
                 out="x.kvt")

    with capture(model, select="mass:k=512", out="y.kvt"):
        model.generate(**tokenizer(prompt, return_tensors="pt"), max_new_tokens=256)

Needs the extra: ``pip install 'kvplace[capture]'``. What is captured, and from which models: docs/capture.md.
"""

try:
    import torch as _torch  # noqa: F401
    import transformers as _transformers  # noqa: F401
except ImportError as _error:
    raise ImportError(f"kvplace.capture needs {_error.name}: pip install 'kvplace[capture]'") from _error

from .live import Capture, capture
from .loading import load_model
from .many import capture_texts
from .model import Decoder, DecoderLayer, examine
from .text_pass import Wanted, capture_selections, capture_text

__all__ = [
    "Capture", "Decoder", "DecoderLayer", "Wanted", "capture", "capture_selections", "capture_text", "capture_texts",
    "examine", "load_model",
]
