"""What a pruner would have done to a study: PruneReplay, and its wire form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpeak.wire import number_in


@dataclass(frozen=True, kw_only=True)
class BestTrial:
    """A trial, and its value of the objective that the pruner looks at."""

    number: int
    value: float


@dataclass(frozen=True, kw_only=True)
class PruneDecision:
    """A trial that would have been pruned after its report at `step`, and the reason that it would have been told.

    `state` is what it is in truth ("complete", "pruned", ...), `value` what it has of the objective that the pruner
    looks at, None where it has none.
    """

    number: int
    step: int
    reason: str
    state: str
    value: float | None


@dataclass(frozen=True, kw_only=True)
class PruneReplay:
    """What a pruner would have done to a study, had it decided on each report when it came.

    Of `trials` that have reported, `pruned` would have ended early, with the `decisions`, in the order of time; of
    `reports`, `saved` would not have been made. `cost` is the sum of the costs that were reported, and `cost_saved`
    that of the saved reports; both are None where no cost was. `best` is the best complete trial that meets its
    constraints, `best_kept` the best of those that would not have been pruned: the same one, unless the pruner would
    have lost it. They are None where there is none, and where the pruner looks at no objective. The sampler is not
    replayed: what it would have proposed after the pruned trials nobody knows.
    """

    trials: int
    pruned: int
    reports: int
    saved: int
    cost: float | None
    cost_saved: float | None
    best: BestTrial | None
    best_kept: BestTrial | None
    decisions: tuple[PruneDecision, ...]


def prune_replay(row: Mapping[str, Any]) -> PruneReplay:
    """The replay that the server gave."""
    return PruneReplay(
        trials=row["trials"],
        pruned=row["pruned"],
        reports=row["reports"],
        saved=row["saved"],
        cost=_number(row["cost"]),
        cost_saved=_number(row["cost_saved"]),
        best=_best(row["best"]),
        best_kept=_best(row["best_kept"]),
        decisions=tuple(_decision(each) for each in row["decisions"]),
    )


def _best(row: Mapping[str, Any] | None) -> BestTrial | None:
    return None if row is None else BestTrial(number=row["number"], value=number_in(row["value"]))


def _decision(row: Mapping[str, Any]) -> PruneDecision:
    return PruneDecision(
        number=row["number"],
        step=row["step"],
        reason=row["reason"] or "",
        state=row["state"],
        value=_number(row["value"]),
    )


def _number(value: float | str | None) -> float | None:
    return None if value is None else number_in(value)
