"""Why a trial has its parameters: Explanation, and its wire form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpeak.wire import number_in


@dataclass(frozen=True, kw_only=True)
class Density:
    """Log densities of a parameter's value among the good trials and among the bad, the other parameters left open."""

    good: float
    bad: float


@dataclass(frozen=True, kw_only=True)
class Late:
    """How a parameter came that the ask did not cover: `enqueued`, or `sampled` with the names `given` fixed."""

    origin: str
    given: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A trial that had finished when the explained one was proposed; `distance` is in ranges of the parameters."""

    number: int
    state: str
    values: tuple[float, ...] | None
    params: Mapping[str, Any]
    distance: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How a trial came by its parameters; the server has drawn its proposal again.

    `outcome` says how the two compare: `same` (bit for bit), `tie` (another candidate of the same score), `differs`,
    `other version` (another sampler is at work now), `not drawn` (enqueued, added, imported) or `history changed` (what
    it was drawn from cannot be had any more); `reasons` why, and `notes` what has changed since without harm. `seen`
    finished trials, `pending` others and `warm` ones of other studies were known to the sampler. `score` is
    log l - log g of the proposal among `candidates`; it and `densities` are there where the same was drawn.
    """

    number: int
    origin: str
    sampler: str
    version: str | None
    params: Mapping[str, Any]
    seen: int
    pending: int
    candidates: int
    score: float | None
    densities: Mapping[str, Density]
    late: Mapping[str, Late]
    nearest: tuple[Neighbour, ...]
    outcome: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    warm: int = 0


def explanation(row: Mapping[str, Any]) -> Explanation:
    """The explanation that the server gave."""
    replay, score = row["replay"], row["score"]
    return Explanation(
        number=row["number"],
        origin=row["origin"],
        sampler=row["sampler"],
        version=row["version"],
        params=row["params"],
        seen=row["seen"],
        pending=row["pending"],
        candidates=row["candidates"],
        score=None if score is None else number_in(score),
        densities={
            name: Density(good=number_in(each["good"]), bad=number_in(each["bad"]))
            for name, each in row["densities"].items()
        },
        late={name: Late(origin=each["origin"], given=tuple(each["given"])) for name, each in row["late"].items()},
        nearest=tuple(_neighbour(each) for each in row["nearest"]),
        outcome=replay["outcome"],
        reasons=tuple(replay["reasons"]),
        notes=tuple(replay["notes"]),
        warm=row.get("warm", 0),
    )


def _neighbour(row: Mapping[str, Any]) -> Neighbour:
    values = row["values"]
    return Neighbour(
        number=row["number"],
        state=row["state"],
        values=None if values is None else tuple(map(number_in, values)),
        params=row["params"],
        distance=row["distance"],
    )
