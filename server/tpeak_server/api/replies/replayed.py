"""What a pruner would have done, on the wire."""

from __future__ import annotations

from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import Number, number
from tpeak_server.service.replaying import Best, Cut, Replayed


class BestReply(TypedDict):
    """A trial, and its value of the objective that the pruner looks at."""

    number: int
    value: Number


class CutReply(TypedDict):
    """A trial that would have been pruned after its report at a step, and what it really became."""

    number: int
    step: int
    reason: str | None
    state: str
    value: Number | None


class ReplayedReply(TypedDict):
    """What a pruner would have done, what that would have saved, and whether the best trial had been kept."""

    trials: int
    pruned: int
    reports: int
    saved: int
    cost: Number | None
    cost_saved: Number | None
    best: BestReply | None
    best_kept: BestReply | None
    decisions: list[CutReply]


def replayed(answer: Replayed) -> ReplayedReply:
    return ReplayedReply(
        trials=answer.trials,
        pruned=len(answer.decisions),
        reports=answer.reports,
        saved=answer.saved,
        cost=_number(answer.cost),
        cost_saved=_number(answer.cost_saved),
        best=_best(answer.best),
        best_kept=_best(answer.best_kept),
        decisions=[_cut(one) for one in answer.decisions],
    )


def _best(one: Best | None) -> BestReply | None:
    return None if one is None else BestReply(number=one.number, value=number(one.value))


def _cut(one: Cut) -> CutReply:
    return CutReply(number=one.number, step=one.step, reason=one.reason, state=str(one.state), value=_number(one.value))


def _number(value: float | None) -> Number | None:
    return None if value is None else number(value)
