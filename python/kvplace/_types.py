"""Arguments of a wrong type: a TypeError that names the parameter and what it takes, as its annotation says."""

from __future__ import annotations

import functools
import inspect
import numbers
import operator
import os
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from ._errors import BadInput

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Accepted(NamedTuple):
    """What a parameter takes."""

    text: str  #: "a str"
    noun: str  #: "str", as in "a sequence of str"
    fits: Callable[[Any], bool]


def _is_array(value: Any) -> bool:
    if hasattr(value, "__dlpack__"):
        return True
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


#: An array of numpy or torch, whose shape and element type are looked at where it is used.
Array = Annotated[Any, Accepted("an array of numpy or torch", "arrays of numpy or torch", _is_array)]


def _is_int(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


_PLAIN: dict[Any, Accepted] = {
    Any: Accepted("anything", "anything", lambda value: True),
    type(None): Accepted("None", "None", lambda value: value is None),
    bool: Accepted("True or False", "bool", lambda value: isinstance(value, bool)),
    int: Accepted("an int", "int", _is_int),
    float: Accepted("a number", "numbers", _is_number),
    str: Accepted("a str", "str", lambda value: isinstance(value, str)),
    os.PathLike: Accepted("a path", "paths", lambda value: isinstance(value, os.PathLike)),
}


def _listed(texts: Iterable[str]) -> str:
    *most, last = dict.fromkeys(texts)
    return f"{', '.join(most)} or {last}" if most else last


def _union(hints: Sequence[Any]) -> Accepted:
    parts = [_accepted(hint) for hint in hints if not (hint is int and float in hints)]
    return Accepted(_listed(part.text for part in parts), _listed(part.noun for part in parts),
                    lambda value: any(part.fits(value) for part in parts))


def _sequence(element: Accepted) -> Accepted:
    def fits(value: Any) -> bool:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            return False
        return not isinstance(value, (list, tuple)) or all(map(element.fits, value))

    return Accepted(f"a sequence of {element.noun}", f"sequences of {element.noun}", fits)


def _mapping(key: Accepted, value: Accepted) -> Accepted:
    def fits(given: Any) -> bool:
        return isinstance(given, Mapping) and all(key.fits(k) and value.fits(v) for k, v in given.items())

    return Accepted(f"a mapping of {key.noun} to {value.noun}", "mappings", fits)


def _tuple(elements: Sequence[Accepted]) -> Accepted:
    def fits(value: Any) -> bool:
        return (isinstance(value, (list, tuple)) and len(value) == len(elements)
                and all(element.fits(v) for element, v in zip(elements, value)))

    return Accepted(f"a tuple ({', '.join(element.noun for element in elements)})", "tuples", fits)


def _instance_of(kind: Any) -> Accepted:
    if getattr(kind, "_is_protocol", False):
        methods = [name for name in vars(kind) if not name.startswith("_")]
        text = f"an object with the methods {', '.join(methods)}"
        return Accepted(text, text, lambda value: all(callable(getattr(value, name, None)) for name in methods))
    package = kind.__module__.partition(".")[0]
    name = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    return Accepted(f"a {name}", name, lambda value: isinstance(value, kind))


def _accepted(hint: Any) -> Accepted:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return next(extra for extra in hint.__metadata__ if isinstance(extra, Accepted))
    plain = _PLAIN.get(origin or hint)
    if plain is not None:
        return plain
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is tuple:
        return _tuple([_accepted(argument) for argument in arguments])
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*map(_accepted, arguments))
    if origin is not None and issubclass(origin, Sequence):
        return _sequence(_accepted(arguments[0]))
    return _instance_of(origin or hint)


@functools.cache
def _parameters(function: Callable[..., Any]) -> dict[str, Accepted]:
    hints = {name: hint for name, hint in function.__annotations__.items() if name not in ("self", "cls", "return")}
    namespace = types.SimpleNamespace(__annotations__=hints)
    found = get_type_hints(namespace, function.__globals__, include_extras=True)
    return {name: _accepted(hint) for name, hint in found.items()}


def _refuse(name: str, value: Any, text: str, owner: str) -> None:
    raise TypeError(f"{owner}: {name} takes {text}, not {reprlib.repr(value)} ({type(value).__name__})")


def check_keywords(function: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    """Refuses values that do not fit the parameters of a function, given by name."""
    function = inspect.unwrap(function)
    owner = function.__qualname__.removesuffix(".__init__")
    parameters = _parameters(function)
    signature = inspect.signature(function).parameters
    others = next((p.name for p in signature.values() if p.kind is p.VAR_KEYWORD), "")
    for name, value in keywords.items():
        accepted = parameters.get(name if name in signature else others)
        if accepted is not None and not accepted.fits(value):
            _refuse(name, value, accepted.text, owner)


def checked(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function with its arguments checked against its annotations before anything else is done."""
    signature = inspect.signature(function)
    variadic = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), "")

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return function(*args, **kwargs)  # says what is missing or too much in Python's own words
        keywords = {**given, **given.get(variadic, {})}
        keywords.pop(variadic, None)
        check_keywords(function, keywords)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if "incompatible function arguments" not in str(error):
                raise
            raise _out_of_range(function, keywords, error) from None

    return call


def _out_of_range(function: Callable[..., Any], keywords: Mapping[str, Any], error: TypeError) -> Exception:
    """All types are right, so that one of the numbers is none that the library's integers hold."""
    owner = function.__qualname__.removesuffix(".__init__")
    for name, value in keywords.items():
        if _is_int(value) and not 0 <= value < 2**32:
            return BadInput(f"{owner}: {name} is {value}, not a whole number of 0 to 2^32 - 1")
    return error
