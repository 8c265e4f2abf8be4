"""A study read from one snapshot, line by line: every table by a cursor of its own, all of them in trial order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from tpeak_server.domain.errors import StudyNotFound
from tpeak_server.domain.study import StudyState
from tpeak_server.domain.transfer import (
    DistributionLine,
    EndLine,
    Epoch,
    EpochReport,
    LateLine,
    Line,
    MoreLine,
    Placed,
    StudyLine,
    TrialLine,
    WarmStartLine,
    WarmTrialLine,
)
from tpeak_server.domain.trial import Interned, TrialState
from tpeak_server.domain.warm import WarmSource
from tpeak_server.storage import warm
from tpeak_server.storage.database import Driver
from tpeak_server.storage.history import INTERNED
from tpeak_server.storage.rows import CLOCK_COLUMNS, clock_from_row, interned_from_row

REPORTS_A_LINE = 1000
ATTRS_A_LINE = 64 * 1024
"""Reports, and characters of attributes as JSON, from which on the rest of a trial goes into another line."""

ROWS_AHEAD = 500
"""Rows that are fetched at once; attributes may be large, so fewer of them."""

ATTRS_AHEAD = 20

SETTINGS = (
    "name", "directions", "sampler", "pruner", "space", "seed", "max_trials", "timeout_s", "lease_seconds",
    "max_attempts", "max_host_failures", "late_results", "stop_when", "user_attrs", "tags",
    "note",
)  # fmt: skip
STUDY = f"""
SELECT {", ".join(SETTINGS)}, state, stop_reason, created_at, {CLOCK_COLUMNS}, warm_start, incarnation::text,
    (SELECT version_num FROM alembic_version)
FROM studies JOIN study_clocks ON study_id = id, meta WHERE id = %(study)s
"""
# DECLARE takes no parameters; the study's id is a number.
OF_STUDY = "WHERE study_id = {study} ORDER BY number"
TRIALS = f"""
SELECT number, state, deleted, proposed_ids, proposed, fixed, values, constraints, cause, origin, epoch, attempt,
    told_epoch, resume_epoch, sampled_at_seq, sampler_version, avoid_host, created_at, started_at, finished_at,
    constraint_names, exempt
FROM trials {OF_STUDY}
"""
EPOCHS = f"""
SELECT number, epoch, worker, host, used, ended, cancelled, issued_at, resume_epoch, checkpoint, checkpoint_step
FROM leases {OF_STUDY}, epoch
"""
SUGGESTIONS = f"SELECT number, name, distribution_id, value FROM suggestions {OF_STUDY}, name"
REPORTS = f"""
SELECT number, epoch, step, values, cost, reported_at, prune, reason FROM reports {OF_STUDY}, epoch, step
"""
ATTRS = f"SELECT number, key, value, length(value::text) FROM trial_attrs {OF_STUDY}, key"
LATE = f"SELECT number, hash, code, body, received_at FROM late_results {OF_STUDY}, hash"


class ByNumber:
    """The rows of one table in trial order, of which only a few are held at a time."""

    def __init__(self, connection: Driver, cursor: str, ahead: int) -> None:
        self._connection = connection
        self._fetch = f"FETCH {ahead} FROM {cursor}"
        self._rows: deque[tuple[Any, ...]] = deque()
        self._ended = False

    @classmethod
    async def declare(
        cls, connection: Driver, cursor: str, statement: str, study_id: int, ahead: int = ROWS_AHEAD
    ) -> ByNumber:
        """The rows of the statement; they end with the transaction."""
        await connection.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR {statement.format(study=study_id)}")
        return cls(connection, cursor, ahead)

    async def next(self) -> tuple[Any, ...] | None:
        """The next row, whatever its number; None after the last one."""
        return self._rows.popleft() if await self._filled() else None

    async def of(self, number: int, most: int = 2**31) -> list[tuple[Any, ...]]:
        """Up to `most` next rows of that number."""
        found: list[tuple[Any, ...]] = []
        while len(found) < most and await self.has(number):
            found.append(self._rows.popleft())
        return found

    async def skip(self, number: int) -> None:
        """Passes over what is left of that number."""
        while await self.has(number):
            self._rows.popleft()

    async def has(self, number: int) -> bool:
        """Whether the next row is one of that number."""
        return await self._filled() and self._rows[0][0] == number

    async def _filled(self) -> bool:
        if not self._rows and not self._ended:
            self._rows.extend(await (await self._connection.execute(self._fetch, binary=True)).fetchall())
            self._ended = not self._rows
        return bool(self._rows)


async def study_lines(connection: Driver, study_id: int) -> AsyncGenerator[Line]:
    """Every line of the study; the caller's transaction sees one snapshot. Raises StudyNotFound."""
    keys = {"study": study_id}
    row = await (await connection.execute(STUDY, keys)).fetchone()
    if row is None:
        raise StudyNotFound("there is no such study; it may have been made on another database")
    settings, (state, stop_reason, created_at, *of_clock, warm_start, incarnation, schema) = (
        row[: len(SETTINGS)],
        row[len(SETTINGS) :],
    )
    clock = clock_from_row(of_clock)
    yield StudyLine(
        id=study_id,
        schema=schema,
        incarnation=incarnation,
        seq=clock.seq,
        created_at=created_at,
        settings=dict(zip(SETTINGS, settings, strict=True)),
    )
    lines, trials, late_results = 2, 0, 0
    interned = [interned_from_row(one) for one in await (await connection.execute(INTERNED, keys)).fetchall()]
    for source in warm_start:
        lines += 1
        yield WarmStartLine(source=WarmSource(**source))
    for one in warm.warm_from_rows(await (await connection.execute(warm.READ, keys, binary=True)).fetchall()):
        lines += 1
        yield WarmTrialLine(trial=one)
    for distribution in _distributions(interned):
        lines += 1
        yield distribution
    async for line in _trials(connection, study_id, {one.id: one for one in interned}):
        lines += 1
        trials += isinstance(line, TrialLine)
        yield line
    async for late in _late_results(connection, study_id):
        lines += 1
        late_results += 1
        yield late
    yield EndLine(
        lines=lines,
        trials=trials,
        late_results=late_results,
        handed=clock.handed,
        state=StudyState(state),
        stop_reason=stop_reason,
        progress=clock.progress,
    )


def _distributions(interned: list[Interned]) -> list[DistributionLine]:
    current: dict[str, Interned] = {}
    for one in interned:
        if one.name not in current or current[one.name].seen_seq < one.seen_seq:
            current[one.name] = one
    return [
        DistributionLine(id=o.id, name=o.name, distribution=o.distribution, current=current[o.name] is o)
        for o in interned
    ]


async def _trials(
    connection: Driver, study_id: int, interned: Mapping[int, Interned]
) -> AsyncIterator[TrialLine | MoreLine]:
    trials = await ByNumber.declare(connection, "trials_of", TRIALS, study_id)
    epochs = await ByNumber.declare(connection, "epochs_of", EPOCHS, study_id)
    suggestions = await ByNumber.declare(connection, "suggestions_of", SUGGESTIONS, study_id)
    reports = await ByNumber.declare(connection, "reports_of", REPORTS, study_id)
    attrs = await ByNumber.declare(connection, "attrs_of", ATTRS, study_id, ATTRS_AHEAD)
    while (row := await trials.next()) is not None:
        number = row[0]
        if row[2]:
            for rows in (epochs, suggestions, reports, attrs):
                await rows.skip(number)
            yield TrialLine(number=number, state=TrialState.FAILED, deleted=True, epoch=row[10])
            continue
        yield _trial(
            row,
            interned,
            epochs=[_epoch(one) for one in await epochs.of(number)],
            suggested=await suggestions.of(number),
            reports=await _reports(reports, number),
            user_attrs=await _attrs(attrs, number),
        )
        while await reports.has(number) or await attrs.has(number):
            more = await _reports(reports, number)
            yield MoreLine(number=number, reports=more, user_attrs=await _attrs(attrs, number))


async def _reports(reports: ByNumber, number: int) -> tuple[EpochReport, ...]:
    return tuple(
        EpochReport(epoch=epoch, step=step, values=tuple(values), cost=cost, at=at, prune=prune, reason=reason)
        for _, epoch, step, values, cost, at, prune, reason in await reports.of(number, REPORTS_A_LINE)
    )


async def _attrs(attrs: ByNumber, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    length = 0
    while length < ATTRS_A_LINE and await attrs.has(number):
        ((_, key, value, own),) = await attrs.of(number, 1)
        found[key] = value
        length += own
    return found


async def _late_results(connection: Driver, study_id: int) -> AsyncIterator[LateLine]:
    rows = await ByNumber.declare(connection, "late_of", LATE, study_id, ATTRS_AHEAD)
    while (row := await rows.next()) is not None:
        number, content_hash, code, body, received_at = row
        # A lease's token is nobody's to read, not even an ended one's.
        kept = {name: value for name, value in body.items() if name != "lease"}
        yield LateLine(number=number, hash=bytes(content_hash), code=code, body=kept, received_at=received_at)


def _trial(
    row: tuple[Any, ...],
    interned: Mapping[int, Interned],
    *,
    epochs: list[Epoch],
    suggested: list[tuple[Any, ...]],
    reports: tuple[EpochReport, ...],
    user_attrs: Mapping[str, Any],
) -> TrialLine:
    return TrialLine(
        number=row[0],
        state=row[1],
        deleted=row[2],
        proposed=_placed(interned, zip(row[3], row[4], strict=True)),
        suggested=_placed(interned, ((one[2], one[3]) for one in suggested)),
        fixed=row[5] or {},
        values=_vector(row[6]),
        constraints=_vector(row[7]),
        cause=row[8],
        origin=row[9],
        epoch=row[10],
        attempt=row[11],
        told_epoch=row[12],
        resume_epoch=row[13],
        sampled_at_seq=row[14],
        sampler_version=row[15],
        avoid_host=row[16],
        created_at=row[17],
        started_at=row[18],
        finished_at=row[19],
        constraint_names=None if row[20] is None else tuple(row[20]),
        exempt=row[21],
        epochs=tuple(epochs),
        reports=reports,
        user_attrs=user_attrs,
    )


def _placed(interned: Mapping[int, Interned], values: Any) -> Placed:
    return {interned[i].name: (i, interned[i].distribution.to_external(value)) for i, value in values}


def _epoch(row: tuple[Any, ...]) -> Epoch:
    return Epoch(
        epoch=row[1],
        worker=row[2],
        host=row[3],
        used=None if row[4] is None else tuple(row[4]),
        ended=row[5],
        cancelled=row[6],
        issued_at=row[7],
        resume_epoch=row[8],
        checkpoint=row[9],
        checkpoint_step=row[10],
    )


def _vector(values: Any) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
