"""What a cache of a study needs: everything once, later what changed after a seq."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.changes import Delta
from tpeak_server.domain.errors import StudyNotFound
from tpeak_server.domain.trial import Lease, Report, Trial, TrialRecord, up_to_checkpoint
from tpeak_server.domain.warm import WarmTrial
from tpeak_server.storage import finished
from tpeak_server.storage import warm as warm_rows
from tpeak_server.storage.database import Driver
from tpeak_server.storage.finished import Columns
from tpeak_server.storage.rows import (
    CLOCK_COLUMNS,
    HOST_COLUMNS,
    INTERNED_COLUMNS,
    LEASE_COLUMNS,
    REPORT_COLUMNS,
    STUDY_COLUMNS,
    SUGGESTION_COLUMNS,
    TRIAL_COLUMNS,
    clock_from_row,
    host_from_row,
    interned_from_row,
    lease_from_row,
    report_from_row,
    study_from_row,
    suggested_from_row,
    trial_from_row,
)

Row = tuple[Any, ...]

CLOCK = f"SELECT {CLOCK_COLUMNS} FROM study_clocks WHERE study_id = %(study)s"
STUDY = f"SELECT {STUDY_COLUMNS} FROM studies WHERE id = %(study)s"
INTERNED = f"SELECT {INTERNED_COLUMNS} FROM distributions WHERE study_id = %(study)s ORDER BY id"
CHANGED = """
SELECT number FROM events WHERE study_id = %(study)s AND seq > %(after)s AND number IS NOT NULL
UNION SELECT number FROM suggestions WHERE study_id = %(study)s AND seq > %(after)s
UNION SELECT number FROM reports WHERE study_id = %(study)s AND seq > %(after)s
"""
TRIALS = f"SELECT {TRIAL_COLUMNS} FROM trials WHERE study_id = %(study)s"
LEASES = f"SELECT {LEASE_COLUMNS} FROM leases WHERE study_id = %(study)s"
SUGGESTIONS = f"SELECT {SUGGESTION_COLUMNS} FROM suggestions WHERE study_id = %(study)s"
CURVES = f"SELECT {REPORT_COLUMNS} FROM reports WHERE study_id = %(study)s"
ATTRS = "SELECT number, key, value FROM trial_attrs WHERE study_id = %(study)s"
HOSTS = f"SELECT {HOST_COLUMNS} FROM hosts WHERE study_id = %(study)s AND failures > 0"
ONLY = " AND number = ANY(%(numbers)s)"

# By the key's order, so that it costs no more than the reports that it skips.
FULL = """
SELECT number FROM reports WHERE study_id = %(study)s AND number BETWEEN %(first)s AND %(last)s
ORDER BY number, epoch, step OFFSET %(reports)s LIMIT 1
"""

PAGE = 2_500
VALUES = 500_000
REPORTS = 50_000
"""Trials that are read as columns at once, fewer where they may have more values of parameters than that, or have more
reports, though not less than one: the event loop is away for some hundredths of a second, and other studies' requests
come in between."""

ROWS = 500
"""Trials that are read as rows at once, for the same reason, and as columns whatever their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All that the tables have of some trials, as the database gave it: what to make of it may be a thread's work."""

    trials: Sequence[Row]
    leases: Sequence[Row]
    suggestions: Sequence[Row]
    reports: Sequence[Row]
    attrs: Sequence[Row]

    def records(self) -> list[TrialRecord]:
        """The trials, in order."""
        return _records(
            map(trial_from_row, self.trials),
            _by_number(map(lease_from_row, self.leases)),
            _by_number(map(suggested_from_row, self.suggestions)),
            _by_number(map(report_from_row, self.reports)),
            _attrs(self.attrs),
        )


async def load_without_trials(connection: Driver, study_id: int) -> Delta:
    """The study, with what it began with, but for its trials. Raises StudyNotFound."""
    return replace(await _delta(connection, study_id, []), warm=await _warm(connection, study_id))


async def load_parts(connection: Driver, study_id: int, end: int, distributions: int) -> AsyncIterator[Columns | Rows]:
    """All trials with numbers below `end`, each once: plain ones in columns, others, deleted ones too, in rows.

    The study has so many distributions. The caller's transaction sees one snapshot.
    """
    page = min(PAGE, max(ROWS, VALUES // max(1, distributions)))
    first = 0
    while first < end:
        last = await _last(connection, study_id, first, min(first + page, end) - 1)
        columns = await _columns(connection, {"study": study_id, "first": first, "last": last})
        yield columns
        async for rows in load_rows(connection, study_id, _others(first, last, columns.numbers())):
            yield rows
        first = last + 1


async def load_changed(connection: Driver, study_id: int, after: int, warm: int = 0) -> Delta:
    """Whole records of the trials that changed after the seq; the caller holds the study's lock.

    What the study began with comes along where it is not the `warm` trials that are known: lines of an import bring it.
    """
    cursor = await connection.execute(CHANGED, {"study": study_id, "after": after})
    delta = await _delta(connection, study_id, [row[0] for row in await cursor.fetchall()])
    if sum(source.trials for source in delta.study.warm_start) == warm:
        return delta
    return replace(delta, warm=await _warm(connection, study_id))


async def load_trials(connection: Driver, study_id: int, numbers: list[int]) -> Delta:
    """Whole records of some trials, deleted or not. Raises StudyNotFound."""
    return await _delta(connection, study_id, numbers)


async def load_rows(connection: Driver, study_id: int, numbers: Sequence[int]) -> AsyncIterator[Rows]:
    """Those trials, some at a time; the caller's transaction sees one snapshot."""
    for first in range(0, len(numbers), ROWS):
        yield await _rows(connection, {"study": study_id, "numbers": list(numbers[first : first + ROWS])})


async def _delta(connection: Driver, study_id: int, numbers: list[int]) -> Delta:
    keys = {"study": study_id, "numbers": numbers}
    async with connection.pipeline():
        clock = await connection.execute(CLOCK, keys)
        study = await connection.execute(STUDY, keys)
        interned = await connection.execute(INTERNED, keys)
        hosts = await connection.execute(HOSTS, keys)
        rows = await _rows(connection, keys) if numbers else None
        clock_row, study_row = await clock.fetchone(), await study.fetchone()
        if clock_row is None or study_row is None:
            raise StudyNotFound("there is no such study; it may have been made on another database")
        return Delta(
            clock=clock_from_row(clock_row),
            study=study_from_row(study_row),
            interned=[interned_from_row(row) for row in await interned.fetchall()],
            records=rows.records() if rows is not None else [],
            hosts={host.name: host for host in map(host_from_row, await hosts.fetchall())},
        )


def _others(first: int, last: int, numbers: NDArray[np.int64]) -> list[int]:
    """The numbers from first to last that are not among these."""
    missing = np.ones(last + 1 - first, dtype=np.bool_)
    missing[numbers - first] = False
    return [first + place for place in np.flatnonzero(missing).tolist()]


async def _last(connection: Driver, study_id: int, first: int, last: int) -> int:
    """The last trial up to which there are not too many reports, or the first one, if it has them by itself."""
    keys = {"study": study_id, "first": first, "last": last, "reports": REPORTS}
    row = await (await connection.execute(FULL, keys)).fetchone()
    return last if row is None else max(first, row[0] - 1)


async def _columns(connection: Driver, keys: Mapping[str, Any]) -> Columns:
    async with connection.pipeline():
        groups = await connection.execute(finished.GROUPS, keys, binary=True)
        reports = await connection.execute(finished.REPORTS, keys, binary=True)
        return Columns(groups=await groups.fetchall(), reports=await reports.fetchall())


async def _rows(connection: Driver, keys: Mapping[str, Any]) -> Rows:
    async with connection.pipeline():
        trials = await connection.execute(TRIALS + ONLY + " ORDER BY number", keys, binary=True)
        leases = await connection.execute(LEASES + ONLY, keys, binary=True)
        suggestions = await connection.execute(SUGGESTIONS + ONLY + " ORDER BY seq", keys, binary=True)
        reports = await connection.execute(CURVES + ONLY, keys, binary=True)
        attrs = await connection.execute(ATTRS + ONLY, keys)
        return Rows(
            trials=await trials.fetchall(),
            leases=await leases.fetchall(),
            suggestions=await suggestions.fetchall(),
            reports=await reports.fetchall(),
            attrs=await attrs.fetchall(),
        )


async def _warm(connection: Driver, study_id: int) -> Sequence[WarmTrial]:
    rows = await connection.execute(warm_rows.READ, {"study": study_id}, binary=True)
    return warm_rows.warm_from_rows(await rows.fetchall())


def _records(
    trials: Iterable[Trial],
    leases: Mapping[int, list[Any]],
    suggestions: Mapping[int, list[Any]],
    reports: Mapping[int, list[Any]],
    attrs: Mapping[int, dict[str, Any]],
) -> list[TrialRecord]:
    return [
        record_of(
            trial,
            {lease.epoch: lease for lease in leases.get(trial.number, ())},
            {s.name: (s.distribution_id, s.value) for s in suggestions.get(trial.number, ())},
            reports.get(trial.number, ()),
            attrs.get(trial.number, {}),
        )
        for trial in trials
    ]


def record_of(
    trial: Trial,
    leases: Mapping[int, Lease],
    suggested: Mapping[str, tuple[int, float]],
    reports: Iterable[Report],
    attrs: Mapping[str, Any],
) -> TrialRecord:
    """The record of a trial out of its rows: the winning epoch's lease and curve, else the newest one's."""
    epoch = trial.told_epoch or trial.epoch
    by_epoch: dict[int, list[Report]] = defaultdict(list)
    for report in reports:
        by_epoch[report.epoch].append(report)
    reasons = [report.reason for report in by_epoch[epoch] if report.prune]
    curve = _curve(epoch, leases, by_epoch)
    inherited = _inherited(trial.resume_epoch or 0, leases, by_epoch)
    return TrialRecord(
        trial=_with_attrs(trial, attrs),
        lease=leases.get(epoch),
        resume=leases.get(trial.resume_epoch or 0),
        suggested=suggested,
        curve=_values(curve),
        costs=_costs(curve),
        inherited=_values(inherited),
        inherited_costs=_costs(inherited),
        prune_reason=next((reason for reason in reasons if reason), None),
    )


def _curve(epoch: int, leases: Mapping[int, Lease], by_epoch: Mapping[int, list[Report]]) -> dict[int, Report]:
    """The curve of an epoch: what it resumes, up to the checkpoint, and its own reports over it."""
    lease = leases.get(epoch)
    resumes = None if lease is None else lease.resume_epoch
    curve = {} if resumes is None else _inherited(resumes, leases, by_epoch)
    curve.update({report.step: report for report in by_epoch.get(epoch, ())})
    return curve


def _inherited(epoch: int, leases: Mapping[int, Lease], by_epoch: Mapping[int, list[Report]]) -> dict[int, Report]:
    """What the epoch hands on: its curve up to the checkpoint that it left, if any."""
    lease = leases.get(epoch)
    return {} if lease is None else up_to_checkpoint(_curve(epoch, leases, by_epoch), lease)


def _values(curve: Mapping[int, Report]) -> dict[int, tuple[float, ...]]:
    return {step: report.values for step, report in curve.items()}


def _costs(curve: Mapping[int, Report]) -> dict[int, float]:
    return {step: report.cost for step, report in curve.items() if report.cost is not None}


def _with_attrs(trial: Trial, attrs: Mapping[str, Any]) -> Trial:
    if not attrs:
        return trial
    return replace(trial, user_attrs=attrs)


def _by_number(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.number].append(row)
    return found


def _attrs(rows: Iterable[tuple[Any, ...]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for number, key, value in rows:
        found[number][key] = value
    return found
