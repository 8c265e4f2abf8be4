"""Intermediate values, and whether to go on: decided once, stored with the reason, repeated as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpeak_server.domain.errors import InvalidValue, LeaseLost
from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.domain.settings import AUTO
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import Lease, Report, TrialRecord
from tpeak_server.pruners.reasons import counted
from tpeak_server.pruners.registry import build
from tpeak_server.pruners.resource import Resource
from tpeak_server.pruners.seam import Automatic, Pruner
from tpeak_server.service.commands import ReportSteps, Step
from tpeak_server.service.curves import Curves
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.reported import summed


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
        self._automatic: Automatic | None = None
        """The same while some of its settings are "auto"."""

    def decide(self, ledger: Ledger, record: TrialRecord, known: TrialRecord) -> Decision:
        """The decision on a trial whose curve has just grown beyond that of the record `known`.

        A study of several objectives is pruned by the one that its rule names, or not at all; a trial that is exempt
        goes on, whatever was decided before.
        """
        if record.trial.exempt:
            return KEEP
        if record.prune_reason is not None:
            return Decision(prune=True, reason=record.prune_reason)
        place = ledger.study.pruned_objective
        if place is None:
            return KEEP
        curves, sign = ledger.curves(without=record.trial.number), ledger.study.signs[place]
        study, pruner = self.rule(ledger.study, curves)
        if study is not ledger.study:
            ledger.study = ledger.changes.study = study
        return pruner.decide(_curve(record, known, place, sign), curves, sign=sign)

    def rule(self, study: Study, curves: Curves) -> tuple[Study, Pruner]:
        """The study's rule at this moment, and the study: another one where "auto" can be told from now on."""
        pruner = self._of(study)
        if self._automatic is not None and (deepest := _deepest(curves, self._automatic.resource)) is not None:
            study = replace(study, pruner_auto=self._automatic.told(deepest))
            pruner = self._of(study)
        return study, pruner

    def _of(self, study: Study) -> Pruner:
        settings = {"pruner": study.pruner, "auto": study.pruner_auto}
        if self._pruner is None or self._settings != settings:
            self._settings = settings
            self._pruner = build(_told(study.pruner, study.pruner_auto), seed=study.seed)
            automatic = self._pruner if isinstance(self._pruner, Automatic) and not study.pruner_auto else None
            # Where all are numbers nothing is left to be told, however deep the curves are: nobody need look.
            self._automatic = automatic if automatic is not None and automatic.told(0) else None
        return self._pruner


def report(ledger: Ledger, command: ReportSteps, pruning: Pruning) -> Reported:
    """Stores the values that are new and answers with the latest decision on the steps reported."""
    lease = ledger.lease(command.number, command.lease or "")
    new = [step for step in command.steps if _stored(ledger, lease, step.step) is None]
    if new:
        ledger.writable()
        if not lease.live:
            raise LeaseLost(f"the lease of trial {command.number} has ended ({lease.ended}); stop working on it")
        _check_widths(command, ledger)
        lease = ledger.note_used(lease, command.used)
        _store(ledger, lease, command, pruning)
    if lease.live:
        ledger.renew(lease)
    stored = [_stored(ledger, lease, step.step) for step in command.steps]
    # The latest, not the deepest: a new step below one that was repeated has decided, and a repetition finds it again.
    decided = max((one for one in stored if one is not None), key=lambda one: one.seq)
    return Reported(
        prune=decided.prune,
        reason=decided.reason,
        kept=tuple(s.step for s, one in zip(command.steps, stored, strict=True) if not _same(one, s.values)),
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
    known = ledger.record(command.number)
    rows = [undecided(command.number, lease.epoch, fresh[step], ledger.take_seq()) for step in sorted(fresh)]
    ledger.report(command.number, rows)
    ledger.decide(rows[-1], pruning.decide(ledger, ledger.record(command.number), known))


def undecided(number: int, epoch: int, step: Step, seq: int) -> Report:
    """The row of a step, without a decision to prune."""
    return Report(
        number=number,
        epoch=epoch,
        step=step.step,
        values=step.values,
        cost=step.cost,
        seq=seq,
        prune=False,
        reason=None,
    )


def _curve(record: TrialRecord, known: TrialRecord, place: int, sign: float) -> Curve:
    """The losses of one objective; NaN where reports have fewer values."""
    steps, before = sorted(record.curve), sorted(known.curve)
    values = (record.curve[step] for step in steps)
    return Curve(
        number=record.trial.number,
        steps=tuple(steps),
        losses=tuple(sign * one[place] if place < len(one) else math.nan for one in values),
        before=next((step for step in reversed(before) if step < steps[-1]), None),
        spent=tuple(summed(steps, record.costs)),
        known_step=before[-1] if before else None,
        known_cost=summed(before, known.costs)[-1] if known.costs else 0.0,
    )


def _deepest(curves: Curves, resource: Resource) -> float | None:
    """How deep complete trials go; None while none tells."""
    return curves.deepest_cost if resource is Resource.COST else curves.deepest


def _told(settings: Mapping[str, Any], auto: Mapping[str, float]) -> dict[str, Any]:
    """The rule's settings, with numbers in place of "auto" as far as these are told; so within a wrapped rule."""
    return {
        name: _told(value, auto) if isinstance(value, Mapping) else auto.get(name, value) if value == AUTO else value
        for name, value in settings.items()
    }


def _stored(ledger: Ledger, lease: Lease, step: int) -> Report | None:
    return ledger.reports.get((lease.number, lease.epoch, step))


def _same(stored: Report | None, values: tuple[float, ...]) -> bool:
    """Whether the values are those stored, bit for bit: repr() tells -0.0 from 0.0 and finds NaN equal to itself."""
    return stored is not None and repr(stored.values) == repr(values)


def _check_widths(command: ReportSteps, ledger: Ledger) -> None:
    for index, step in enumerate(command.steps):
        check_width(step, len(ledger.study.directions), f"/reports/{index}/values")


def check_width(step: Step, objectives: int, where: str) -> None:
    """Raises InvalidValue unless the report has a value for each objective of the study."""
    if len(step.values) != objectives:
        raise InvalidValue(
            f"a report of this study needs {counted(objectives, 'value')}, one for each objective, got"
            f" {len(step.values)}",
            where=where,
        )
