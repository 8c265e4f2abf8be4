"""A trial for the tests of problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Given:
    """A trial whose parameters are given."""

    def __init__(self, **params: Any) -> None:
        self._params = params

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        return float(self._params[name])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self._params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._params[name]
