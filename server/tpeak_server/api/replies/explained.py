"""Why a trial has its parameters, on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import Number, number, numbers
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.service.explaining import Explained, Late, Neighbour


class DensityReply(TypedDict):
    """Log densities of a proposed value in the good and in the bad mixture, all other parameters left open."""

    good: Number
    bad: Number


class LateReply(TypedDict):
    """A parameter that came after the ask, given the others: `enqueued` or `sampled`."""

    seq: int
    origin: str
    given: list[str]


class NeighbourReply(TypedDict):
    """A trial that had finished, with its distance in unit coordinates."""

    number: int
    state: str
    values: list[Number] | None
    params: dict[str, Any]
    distance: float


class ReplayReply(TypedDict):
    """How the proposal drawn again compares with the stored one, and why."""

    outcome: str
    reasons: list[str]
    notes: list[str]
    params: dict[str, Any] | None


class ExplainedReply(TypedDict):
    """How a trial came by its parameters."""

    number: int
    origin: str
    sampler: str
    version: str | None
    sampled_at_seq: int | None
    params: dict[str, Any]
    seen: int
    warm: int
    pending: int
    candidates: int
    score: Number | None
    densities: dict[str, DensityReply]
    late: dict[str, LateReply]
    nearest: list[NeighbourReply]
    replay: ReplayReply
    seq: int


def explained(answer: Explained) -> ExplainedReply:
    trial, again = answer.record.trial, answer.replay.explanation
    return ExplainedReply(
        number=trial.number,
        origin=trial.origin,
        sampler=answer.sampler,
        version=trial.sampler_version,
        sampled_at_seq=trial.sampled_at_seq,
        params=_params(answer.record, answer.interned),
        seen=answer.seen,
        warm=answer.warm,
        pending=answer.pending,
        candidates=0 if again is None else len(again.candidates),
        score=None if answer.replay.score is None else number(answer.replay.score),
        densities=_densities(answer),
        late={one.name: _late(one) for one in answer.late},
        nearest=[_neighbour(one, answer.interned) for one in answer.nearest],
        replay=ReplayReply(
            outcome=str(answer.replay.outcome),
            reasons=list(answer.replay.reasons),
            notes=list(answer.notes),
            params=_redrawn(answer),
        ),
        seq=answer.seq,
    )


def _params(record: TrialRecord, interned: Mapping[int, Interned]) -> dict[str, Any]:
    params = record.params(interned)
    return {name: interned[i].distribution.to_external(value) for name, (i, value) in params.items()}


def _densities(answer: Explained) -> dict[str, DensityReply]:
    """Those of the stored values, which are known where the same were drawn again."""
    again = answer.replay.explanation
    if again is None or not answer.replay.agrees:
        return {}
    return {name: DensityReply(good=number(good), bad=number(again.bad[name])) for name, good in again.good.items()}


def _redrawn(answer: Explained) -> dict[str, Any] | None:
    again = answer.replay.explanation
    if again is None:
        return None
    drawn_from = {answer.interned[i].name: answer.interned[i].distribution for i in answer.record.trial.proposed}
    return {name: drawn_from[name].to_external(value) for name, value in again.suggestion.values.items()}


def _late(one: Late) -> LateReply:
    return LateReply(seq=one.seq, origin=one.origin, given=list(one.given))


def _neighbour(one: Neighbour, interned: Mapping[int, Interned]) -> NeighbourReply:
    trial = one.record.trial
    return NeighbourReply(
        number=trial.number,
        state=str(trial.state),
        values=numbers(trial.values),
        params=_params(one.record, interned),
        distance=one.distance,
    )
