"""Intermediate values, and whether to go on: decided once, stored with the reason, repeated as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpeak_server.domain.errors import InvalidValue, LeaseLost
from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import Lease, Report, TrialRecord
from tpeak_server.pruners.registry import build
from tpeak_server.pruners.seam import Pruner
from tpeak_server.service.commands import ReportSteps, Step
from tpeak_server.service.history import History
from tpeak_server.service.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The decision, and the steps that already had another value, which stands."""

    prune: bool
    reason: str | None
    kept: tuple[int, ...]
    lease_seconds: float
    seq: int
    cancel: bool = False


class Pruning:
    """Decides for one study; keeps its pruner until the settings change."""

    def __init__(self) -> None:
        self._settings: Mapping[str, object] | None = None
        self._pruner: Pruner | None = None

    def decide(self, study: Study, record: TrialRecord, history: History) -> Decision:
        """The decision on a curve that has just grown. Studies of several objectives are not pruned."""
        if record.prune_reason is not None:
            return Decision(prune=True, reason=record.prune_reason)
        if len(study.directions) > 1:
            return KEEP
        sign = study.signs[0]
        steps = sorted(record.curve)
        curve = Curve(steps=tuple(steps), losses=tuple(sign * record.curve[step][0] for step in steps))
        return self._of(study).decide(curve, history.curves, sign=sign)

    def _of(self, study: Study) -> Pruner:
        if self._pruner is None or self._settings != study.pruner:
            self._settings = study.pruner
            self._pruner = build(study.pruner)
        return self._pruner


def report(ledger: Ledger, command: ReportSteps, pruning: Pruning) -> Reported:
    """Stores the values that are new and answers with the decision of the last step reported."""
    lease = ledger.lease(command.number, command.lease or "")
    new = [step for step in command.steps if _stored(ledger, lease, step.step) is None]
    if new:
        ledger.writable()
        if not lease.live:
            raise LeaseLost(f"the lease of trial {command.number} has ended ({lease.ended}); stop working on it")
        _check_width(command, ledger)
        lease = ledger.note_used(lease, command.used)
        _store(ledger, lease, command, pruning)
    if lease.live:
        ledger.renew(lease)
    decided = _stored(ledger, lease, max(step.step for step in command.steps))
    assert decided is not None, "a step just stored"
    return Reported(
        prune=decided.prune,
        reason=decided.reason,
        kept=tuple(step.step for step in command.steps if not _same(_stored(ledger, lease, step.step), step.values)),
        lease_seconds=ledger.study.lease_seconds,
        cancel=lease.cancelled,
        seq=ledger.seq,
    )


def _store(ledger: Ledger, lease: Lease, command: ReportSteps, pruning: Pruning) -> None:
    """Stores the new steps in ascending order; only the last can carry a decision to prune."""
    fresh: dict[int, Step] = {}
    for step in command.steps:
        if _stored(ledger, lease, step.step) is None:
            fresh.setdefault(step.step, step)
    for step_number in sorted(fresh):
        step = fresh[step_number]
        row = Report(
            number=command.number,
            epoch=lease.epoch,
            step=step.step,
            values=step.values,
            cost=step.cost,
            seq=ledger.take_seq(),
            prune=False,
            reason=None,
        )
        ledger.report(row)
    ledger.decide(row, pruning.decide(ledger.study, ledger.record(command.number), ledger.history))


def _stored(ledger: Ledger, lease: Lease, step: int) -> Report | None:
    return ledger.reports.get((lease.number, lease.epoch, step))


def _same(stored: Report | None, values: tuple[float, ...]) -> bool:
    """Whether the values are those stored, bit for bit: repr() tells -0.0 from 0.0 and finds NaN equal to itself."""
    return stored is not None and repr(stored.values) == repr(values)


def _check_width(command: ReportSteps, ledger: Ledger) -> None:
    known = {len(values) for values in ledger.record(command.number).curve.values()}
    for index, step in enumerate(command.steps):
        known.add(len(step.values))
        if len(known) > 1:
            raise InvalidValue(
                "every report of a trial needs the same number of values", where=f"/reports/{index}/values"
            )
