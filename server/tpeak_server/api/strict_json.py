"""JSON as this service accepts it: one meaning for every body, or a refusal that says where.

Python's parser takes NaN, doubled keys and lone surrogates; PostgreSQL takes no NUL; other readers lose integers
beyond 2^53. None of these may be stored and then be something else.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32
MAX_EXACT_INT = 2**53
MAX_INT_DIGITS = 17


class MalformedJson(ValueError):
    """The body is not JSON as this service accepts it; the message says what is wrong, never repeating the body."""


class BeyondExact:
    """Stands for an integer beyond 2^53 in a body whose every field has a type: none takes it, and says where it is."""


def parse(body: bytes, *, typed: bool = False) -> Any:
    """What the body says; with `typed` an integer beyond 2^53 is a BeyondExact. Raises MalformedJson."""
    try:
        parsed = (_typed_decoder if typed else _decoder).decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedJson(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise MalformedJson(f"more than {MAX_DEPTH} levels") from None
    _check(parsed, 1)
    return parsed


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
        return
    if not isinstance(value, (dict, list)):
        return
    if depth > MAX_DEPTH:
        raise MalformedJson(f"more than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    else:
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise MalformedJson("a string holds a NUL character")
        return
    if "\0" in text:
        raise MalformedJson("a string holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedJson("a string holds a lone surrogate")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedJson("an object has a key twice")
    return found


def _exact_int(digits: str) -> int:
    found = _marked_int(digits)
    if isinstance(found, BeyondExact):
        raise MalformedJson("an integer beyond 2^53")
    return found


def _marked_int(digits: str) -> int | BeyondExact:
    beyond = len(digits) > MAX_INT_DIGITS or abs(int(digits)) > MAX_EXACT_INT
    return BeyondExact() if beyond else int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedJson("a number beyond the range of a double")
    return value


def _constant(name: str) -> NoReturn:
    raise MalformedJson(f'{name} is no JSON; where a value may be non-finite it is the string "{name}"')


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_exact_int, parse_float=_finite, parse_constant=_constant
)

_typed_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_marked_int, parse_float=_finite, parse_constant=_constant
)
