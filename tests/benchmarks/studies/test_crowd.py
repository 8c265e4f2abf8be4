"""Near-duplicates of what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from studies.crowd import Seen, Watched, near


class Scripted:
    """Every parameter has the value that it is given."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        return float(self._values[name])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        return int(self._values[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._values[name]


class ScriptedStudy:
    """The trials have these values in turn; which ones were told, it remembers."""

    def __init__(self, *points: Mapping[str, Any]) -> None:
        self._trials = [Scripted(point) for point in points]
        self.told: list[float] = []

    def ask(self) -> Scripted:
        return self._trials.pop(0)

    def tell(self, trial: Scripted, value: float) -> None:
        self.told.append(value)


def at(**values: Any) -> dict[str, Any]:
    trial = Seen(Scripted(values))
    suggestions = {
        "x": lambda: trial.suggest_float("x", -5.0, 5.0),
        "rate": lambda: trial.suggest_float("rate", 1e-4, 1.0, log=True),
        "width": lambda: trial.suggest_int("width", 0, 1000),
        "solver": lambda: trial.suggest_categorical("solver", ("adam", "sgd")),
    }
    for name in values:
        suggestions[name]()
    return trial.at


def test_a_coordinate_is_the_place_in_its_parameters_own_scale() -> None:
    assert at(x=0.0, rate=0.01, width=250) == {"x": 0.5, "rate": 0.5, "width": 0.25}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (at(x=0.0), at(x=0.09), True),
        (at(x=0.0), at(x=0.11), False),
        (at(rate=0.01), at(rate=0.0109), True),
        (at(rate=0.01), at(rate=0.0111), False),
        (at(width=500), at(width=509), True),
        (at(x=0.0, width=500), at(x=0.0, width=511), False),
        (at(x=0.0, solver="adam"), at(x=0.0, solver="adam"), True),
        (at(x=0.0, solver="adam"), at(x=0.0, solver="sgd"), False),
        (at(x=0.0), at(x=0.0, solver="sgd"), False),
    ],
)
def test_near_is_less_than_a_hundredth_in_every_coordinate(
    one: Mapping[str, Any], other: Mapping[str, Any], expected: bool
) -> None:
    assert near(one, other) is near(other, one) is expected


def test_only_what_runs_at_the_ask_makes_a_near_duplicate() -> None:
    own = ScriptedStudy({"x": 1.0}, {"x": 1.05}, {"x": 1.0}, {"x": 1.0})
    study = Watched(own)

    def asked() -> Seen[Scripted]:
        trial = study.ask()
        trial.suggest_float("x", -5.0, 5.0)
        return trial

    first, second = asked(), asked()
    study.tell(first, 1.0)
    study.tell(second, 2.0)
    third = asked()
    asked()
    study.tell(third, 3.0)
    assert study.near() == [False, True, False, True]
    assert own.told == [1.0, 2.0, 3.0]
