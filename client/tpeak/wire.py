"""JSON as the server takes it: strict, with non-finite numbers as strings in the fields meant for them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tpeak.errors import InvalidValue

MAX_EXACT_INT = 2**53
"""Largest integer up to which every integer is exactly a double; the server takes none beyond."""

MAX_DEPTH = 24
"""Levels of lists and dicts in one attribute: the server takes 32 a body, of which the envelope needs a few."""

_FROM_WORD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number_out(value: float) -> float | str:
    """A number for a field of values: itself, or its word where it is not finite."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def number_in(value: float | str) -> float:
    """The number that `number_out` wrote."""
    return _FROM_WORD[value] if isinstance(value, str) else float(value)


def settings_out(settings: Any, field: str) -> dict[str, Any]:
    """The settings of a sampler or pruner, whichever the field is for. Raises TypeError for what is none of them."""
    if not hasattr(settings, "wire"):
        raise TypeError(
            f"{field} must be one of tpeak.{field}s, got a {type(settings).__module__}.{type(settings).__name__}"
        )
    wire: dict[str, Any] = settings.wire()
    return wire


def encode(body: Any) -> bytes:
    """The body's bytes. Raises InvalidValue for what JSON cannot hold."""
    try:
        text = json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_from_numpy)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"this cannot be sent as JSON: {error}") from None


def plain(value: Any, depth: int = 0) -> Any:
    """A copy of an attribute or parameter that the server is sure to take.

    Raises InvalidValue for what it would refuse, so that the mistake shows where it was made and not at the tell.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked_text(value)
    if isinstance(value, (int, float)):
        return _checked_number(value)
    if depth >= MAX_DEPTH:
        raise InvalidValue(f"the value is nested over {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {_checked_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    return plain(_from_numpy(value), depth + 1)


def _checked_text(text: str) -> str:
    if "\0" in text:
        raise InvalidValue("text must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue("text must not contain lone surrogates") from None
    return str.__str__(text)  # str() of an enum's member would be its name


def _checked_key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidValue(f"keys must be strings, got {key!r}")
    return _checked_text(key)


def _checked_number(number: int | float) -> int | float:
    if isinstance(number, int):
        if abs(number) > MAX_EXACT_INT:
            raise InvalidValue(f"integers must lie within -2^53 .. 2^53, got {number}")
        return int(number)
    if not math.isfinite(number):
        raise InvalidValue(f"{number} has no place in JSON; store it as a string")
    return float(number)


def _from_numpy(value: Any) -> Any:
    """The Python value of a numpy scalar or array, known by its method: numpy itself is not imported here."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise InvalidValue(f"a {type(value).__name__} cannot be sent as JSON")
