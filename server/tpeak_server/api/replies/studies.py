"""Studies on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import specs, time
from tpeak_server.domain.study import Study, to_path
from tpeak_server.domain.trial import TrialState
from tpeak_server.domain.warm import WarmSource
from tpeak_server.service.studies import Created, StudyCounts


class WarmStartReply(TypedDict):
    """A study that this one has learned from: `trials` were taken over, of the `seen` that were complete."""

    study: str
    name: str
    params: dict[str, str]
    weight: float
    seen: int
    trials: int


class StudyReply(TypedDict):
    id: str
    name: str
    directions: list[str]
    state: str
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    pruner_auto: dict[str, float]
    space: dict[str, Any] | None
    seed: int
    max_trials: int | None
    timeout_s: float | None
    lease_seconds: float
    max_attempts: int
    max_host_failures: int | None
    late_results: str
    stop_when: dict[str, Any] | None
    stop_reason: str | None
    warm_start: list[WarmStartReply]
    user_attrs: dict[str, Any]
    tags: list[str]
    note: str
    created_at: str | None
    counts: dict[str, int]
    seq: int


class DifferenceReply(TypedDict):
    """A setting that was asked for and is stored otherwise."""

    field: str
    stored: Any
    asked: Any


class CreatedReply(TypedDict):
    """A study, and whether the request made it."""

    study: StudyReply
    created: bool
    differences: list[DifferenceReply]


class StudiesReply(TypedDict):
    """A page of studies."""

    studies: list[StudyReply]
    next: str | None


def study(found: Study, counts: StudyCounts) -> StudyReply:
    return StudyReply(
        id=to_path(found.id),
        name=found.name,
        directions=[str(direction) for direction in found.directions],
        state=str(found.state),
        sampler=dict(found.sampler),
        pruner=dict(found.pruner),
        pruner_auto=dict(found.pruner_auto),
        space=None if found.space is None else specs(found.space),
        seed=found.seed,
        max_trials=found.max_trials,
        timeout_s=found.timeout_s,
        lease_seconds=found.lease_seconds,
        max_attempts=found.max_attempts,
        max_host_failures=found.max_host_failures,
        late_results=str(found.late_results),
        stop_when=None if found.stop_when is None else found.stop_when.spec(),
        stop_reason=found.stop_reason,
        warm_start=[_warm_start(source) for source in found.warm_start],
        user_attrs=dict(found.user_attrs),
        tags=list(found.tags),
        note=found.note,
        created_at=time(found.created_at),
        counts={str(state): counts.by_state.get(state, 0) for state in TrialState},
        seq=counts.seq,
    )


def _warm_start(source: WarmSource) -> WarmStartReply:
    return WarmStartReply(
        study=to_path(source.study),
        name=source.name,
        params=dict(source.params),
        weight=source.weight,
        seen=source.seen,
        trials=source.trials,
    )


def created(answer: Created) -> CreatedReply:
    differences = [DifferenceReply(field=d.field, stored=d.stored, asked=d.asked) for d in answer.differences]
    return CreatedReply(study=study(answer.study, answer.counts), created=answer.created, differences=differences)


def studies(found: Sequence[tuple[Study, StudyCounts]], limit: int) -> StudiesReply:
    following = found[-1][0].name if len(found) == limit else None
    return StudiesReply(studies=[study(*one) for one in found], next=following)
