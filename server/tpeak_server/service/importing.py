"""Lines of an export, taken over into a study that has what came before them and nothing else.

All lines of a batch are checked before the first changes anything. Until the last line has come the study is paused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from tpeak_server.domain.changes import Imported
from tpeak_server.domain.distributions import canonical
from tpeak_server.domain.errors import Invalid, InvalidValue, pointer
from tpeak_server.domain.study import StudyState
from tpeak_server.domain.transfer import (
    DistributionLine,
    EndLine,
    Epoch,
    EpochReport,
    ImportedLine,
    LateLine,
    MoreLine,
    Placed,
    TrialLine,
    WarmStartLine,
    WarmTrialLine,
)
from tpeak_server.domain.trial import Interned, LeaseEnd, Suggested, TrialState
from tpeak_server.domain.warm import MAX_SOURCES, WarmSource, WarmTrial
from tpeak_server.service.adding import first_answer, remember
from tpeak_server.service.commands import ImportLines
from tpeak_server.service.ledger import MAX_DISTRIBUTIONS, Ledger

CHANGED_TO = {StudyState.OPEN: "resumed", StudyState.PAUSED: "paused", StudyState.STOPPED: "stopped"}
"""The event that says of a study that its state became this."""

CANCELLED = "it was to be cancelled when it was exported"


def import_lines(ledger: Ledger, command: ImportLines) -> object:
    """Takes the lines over, all or none; the answer is {"numbers": [...], "seq": n}."""
    before = first_answer(ledger, command)
    if before is not None:
        return before
    ledger.writable()
    plan = _Plan(ledger)
    for index, line in enumerate(command.lines):
        plan.add(line, f"/lines/{index}")
    _apply(ledger, plan)
    numbers = [trial.line.number for trial in plan.trials]
    return remember(ledger, command, {"numbers": numbers, "seq": ledger.seq})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A line with its values as they are stored."""

    line: TrialLine
    proposed: dict[int, float]
    suggested: dict[str, tuple[int, float]]


@dataclass(slots=True)
class _Plan:
    """What is to be written, checked against the study and the lines before. Raises Invalid and InvalidValue."""

    ledger: Ledger
    interned: dict[int, Interned] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)
    trials: list[_Trial] = field(default_factory=list)
    more: list[MoreLine] = field(default_factory=list)
    late: list[LateLine] = field(default_factory=list)
    end: EndLine | None = None
    reported: set[tuple[int, int, int]] = field(default_factory=set)
    warm: list[WarmTrial] = field(default_factory=list)
    sources: list[WarmSource] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources += self.ledger.study.warm_start

    @property
    def next_number(self) -> int:
        return self.ledger.next_number + len(self.trials)

    def add(self, line: ImportedLine, where: str) -> None:
        if self.end is not None:
            raise Invalid("a line after the end", where=where)
        match line:
            case WarmStartLine():
                self._warm_start(line, where)
            case WarmTrialLine():
                self._warm_trial(line, where)
            case DistributionLine():
                self._distribution(line, where)
            case TrialLine():
                self._trial(line, where)
            case MoreLine():
                self._more(line, where)
            case LateLine():
                if line.number >= self.next_number:
                    raise Invalid(f"a late result of trial {line.number}, which is not there", where=f"{where}/number")
                self.late.append(line)
            case EndLine():
                if line.trials != self.next_number:
                    raise Invalid(
                        f"the export has {line.trials} trials, the study {self.next_number}", where=f"{where}/trials"
                    )
                self.end = line

    def _warm_start(self, line: WarmStartLine, where: str) -> None:
        if self.next_number or len(self.sources) >= MAX_SOURCES:
            raise Invalid(f"a study begins with at most {MAX_SOURCES} others, before its trials", where=where)
        self.sources.append(replace(line.source, trials=0))

    def _warm_trial(self, line: WarmTrialLine, where: str) -> None:
        """Counts it for its source, which is the last one named: so none comes twice."""
        if self.next_number or line.trial.source != len(self.sources) - 1:
            raise Invalid("no such study was named before", where=f"{where}/source")
        source = self.sources[-1]
        self.sources[-1] = replace(source, trials=source.trials + 1)
        self.warm.append(line.trial)

    def _distribution(self, line: DistributionLine, where: str) -> None:
        known = len(self.ledger.interned) + len(self.interned)
        if line.id != known or known >= MAX_DISTRIBUTIONS:
            raise Invalid(
                f"the study's next distribution is {known}, not {line.id}: it takes the lines of one export in their "
                "order",
                where=f"{where}/id",
            )
        key = (line.name, canonical(line.distribution))
        if key in self.ledger.history.ids or key in self.keys:
            raise Invalid("this distribution is there under another id", where=where)
        self.keys.add(key)
        # The one that its name was last given is known by its seq; the others of the name have none.
        seen_seq = self.ledger.seq + 1 if line.current else 0
        self.interned[line.id] = Interned(id=line.id, name=line.name, distribution=line.distribution, seen_seq=seen_seq)

    def _trial(self, line: TrialLine, where: str) -> None:
        if line.number != self.next_number:
            raise Invalid(
                f"the study's next trial is {self.next_number}, not {line.number}: it takes the lines of one export in "
                "their order, and no trials beside them",
                where=f"{where}/number",
            )
        _check_values(line, len(self.ledger.study.directions), where)
        _check_epochs(line, where)
        self._check_reports(line.number, line.reports, {0, *(one.epoch for one in line.epochs)}, where)
        proposed = self._internal(line.proposed, f"{where}/proposed")
        suggested = self._internal(line.suggested, f"{where}/suggested")
        self.trials.append(
            _Trial(line=line, proposed=dict(proposed.values()), suggested=suggested),
        )

    def _more(self, line: MoreLine, where: str) -> None:
        if line.number != self.next_number - 1:
            raise Invalid(f"more of trial {line.number}, which is not the one before", where=f"{where}/number")
        self._check_reports(line.number, line.reports, None, where)
        self.more.append(line)

    def _check_reports(
        self, number: int, reports: tuple[EpochReport, ...], epochs: set[int] | None, where: str
    ) -> None:
        for index, report in enumerate(reports):
            key = (number, report.epoch, report.step)
            if key in self.reported or key in self.ledger.reports:
                raise Invalid("a step is reported twice in one epoch", where=f"{where}/reports/{index}/step")
            if epochs is not None and report.epoch not in epochs:
                raise Invalid("the trial has no such epoch", where=f"{where}/reports/{index}/epoch")
            self.reported.add(key)

    def _internal(self, placed: Placed, where: str) -> dict[str, tuple[int, float]]:
        found: dict[str, tuple[int, float]] = {}
        for name, (distribution_id, value) in placed.items():
            at = where + pointer([name])
            interned = self.interned.get(distribution_id) or self.ledger.interned.get(distribution_id)
            if interned is None or interned.name != name:
                raise Invalid(f"there is no distribution {distribution_id} of {name!r}", where=f"{at}/0")
            try:
                found[name] = distribution_id, interned.distribution.to_internal(value)
            except InvalidValue as error:
                raise InvalidValue(error.message, where=f"{at}/1") from error
        return found


def _check_values(line: TrialLine, objectives: int, where: str) -> None:
    if line.state == TrialState.COMPLETE:
        if line.values is None or len(line.values) != objectives:
            raise InvalidValue(f"a complete trial of this study needs {objectives} value(s)", where=f"{where}/values")
        if any(math.isnan(value) for value in line.values):
            raise InvalidValue("a complete trial's values cannot be NaN", where=f"{where}/values")
    elif line.values is not None and line.state != TrialState.PRUNED:
        raise Invalid(f"a {line.state} trial has no values", where=f"{where}/values")


def _check_epochs(line: TrialLine, where: str) -> None:
    before: set[int] = set()
    last = 0
    for index, one in enumerate(line.epochs):
        at = f"{where}/epochs/{index}"
        if not last < one.epoch <= line.epoch:
            raise Invalid(f"epochs rise from 1 to the trial's {line.epoch}", where=f"{at}/epoch")
        if one.resume_epoch is not None and one.resume_epoch not in before:
            raise Invalid("it resumes an epoch that is not there", where=f"{at}/resume_epoch")
        before.add(last := one.epoch)
    if line.resume_epoch is not None and line.resume_epoch not in before:
        raise Invalid("it resumes an epoch that is not there", where=f"{where}/resume_epoch")
    if line.told_epoch is not None and line.told_epoch not in before | {0}:
        raise Invalid("its result is of an epoch that is not there", where=f"{where}/told_epoch")


def _apply(ledger: Ledger, plan: _Plan) -> None:
    imported = Imported()
    # Also where there is nothing but distributions: a cache looks again only where the seq has moved.
    ledger.event("imported")
    for interned in plan.interned.values():
        ledger.interned[interned.id] = ledger.changes.interned[interned.id] = interned
    for trial in plan.trials:
        _put(ledger, imported, trial)
    for more in plan.more:
        ledger.event("imported", more.number)
        _put_more(ledger, imported, more.number, more.reports, more.user_attrs)
    imported.late += plan.late
    imported.warm += plan.warm
    if tuple(plan.sources) != ledger.study.warm_start or plan.warm:
        ledger.study = ledger.changes.study = replace(ledger.study, warm_start=tuple(plan.sources))
    ledger.changes.imported = imported
    # The cache reads the new trials as it would those of another replica.
    ledger.stale = True
    _set_state(ledger, plan.end)


def _put(ledger: Ledger, imported: Imported, trial: _Trial) -> None:
    line = _settled(trial.line)
    number = ledger.take_number()
    imported.trials.append((line, trial.proposed))
    imported.epochs += [(number, one if one.ended else _ended(one)) for one in line.epochs]
    ledger.event("imported", number, state=str(line.state))
    for name, (distribution_id, value) in trial.suggested.items():
        ledger.changes.suggested.append(
            Suggested(number=number, name=name, distribution_id=distribution_id, value=value, seq=ledger.take_seq())
        )
    _put_more(ledger, imported, number, line.reports, line.user_attrs)


def _put_more(
    ledger: Ledger, imported: Imported, number: int, reports: tuple[EpochReport, ...], user_attrs: Any
) -> None:
    imported.reports += [(number, report, ledger.take_seq()) for report in reports]
    ledger.changes.attrs.update({(number, key): value for key, value in user_attrs.items()})


def _settled(line: TrialLine) -> TrialLine:
    """The trial without a worker: what ran waits, or has failed where it was to be cancelled."""
    if line.deleted or line.state != TrialState.RUNNING:
        return line
    if any(one.cancelled and one.ended is None for one in line.epochs):
        return replace(line, state=TrialState.FAILED, cause=CANCELLED)
    return replace(line, state=TrialState.WAITING)


def _ended(one: Epoch) -> Epoch:
    """As if the worker had given the trial back: no attempt is used up."""
    return replace(one, ended=LeaseEnd.RELEASED)


def _set_state(ledger: Ledger, end: EndLine | None) -> None:
    """Pauses the study until the end, which says how much is handed out and in which state it was."""
    state = StudyState.PAUSED if end is None else end.state
    if end is not None:
        ledger.handed, ledger.progress = end.handed, end.progress
        # Archiving is for whoever imports: the name of an archived study is free.
        state = StudyState.STOPPED if state is StudyState.ARCHIVED else state
    if state is not ledger.study.state:
        reason = end.stop_reason if end is not None and state is StudyState.STOPPED else None
        ledger.study = ledger.changes.study = replace(ledger.study, state=state, stop_reason=reason)
        ledger.event(CHANGED_TO[state])
