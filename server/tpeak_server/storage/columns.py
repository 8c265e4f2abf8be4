"""Trials for large readers: PostgreSQL puts the rows of a page together, so that nothing here is done for each trial.

Numbers come as the bytes in which PostgreSQL sends them: big-endian, an array with a head and a length before each
element. Trials that have the same parameters, or as many values, come together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.errors import StudyNotFound
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.domain.which import Which
from tpeak_server.storage import trials
from tpeak_server.storage.database import Driver
from tpeak_server.storage.history import CLOCK, INTERNED, load_trials
from tpeak_server.storage.rows import array_text, clock_from_row, interned_from_row

Row = tuple[Any, ...]

PAGE = 5000
"""Trials that are read at once, at most."""

WEIGHT = 100_000
"""Where a page ends before that: so many parameters and reports, and 16 bytes of attributes each, are some MB."""

TRIAL_WEIGHT = 10
"""What a trial weighs by itself."""

OF_PAGE = "study_id = %(study)s AND number = ANY(%(numbers)s::int[])"
OF_RANGE = "study_id = %(study)s AND number BETWEEN %(first)s AND %(last)s"
"""The trials of a page, and of one that leaves none out: PostgreSQL takes milliseconds over a list of thousands."""

WEIGHTS = f"""
SELECT number, count(*) FROM reports WHERE {OF_PAGE} GROUP BY number
UNION ALL SELECT number, sum(octet_length(value::text)) / 16 FROM trial_attrs WHERE {OF_PAGE} GROUP BY number
"""
STATES = f"""
SELECT array_agg(state), array_agg(origin), string_agg(int4send(attempt), ''),
    string_agg(timestamptz_send(coalesce(started_at, '-infinity')), ''),
    string_agg(timestamptz_send(coalesce(finished_at, '-infinity')), '')
FROM (SELECT * FROM trials WHERE {OF_PAGE} ORDER BY number) AS page
"""
VALUES = f"""
SELECT cardinality(values), string_agg(int4send(number), ''), string_agg(array_send(values), '')
FROM trials WHERE {OF_PAGE} AND values IS NOT NULL GROUP BY 1
"""
PROPOSED = f"""
SELECT proposed_ids, string_agg(int4send(number), ''), string_agg(array_send(proposed), '')
FROM trials WHERE {OF_PAGE} AND proposed_ids <> '{{}}' GROUP BY 1
"""
SUGGESTED = f"""
SELECT distribution_id, string_agg(int4send(number), ''), string_agg(float8send(value), '')
FROM suggestions WHERE {OF_PAGE} GROUP BY 1
"""
# The epoch whose lease and curve are the trial's, as in `history.record_of`. What is joined to it is held to the page,
# too: PostgreSQL would read all of the study for each page.
OF_EPOCH = f"""
JOIN (SELECT number, coalesce(nullif(told_epoch, 0), epoch) AS epoch FROM trials WHERE {OF_PAGE}) AS own
    USING (number, epoch)
"""
USED = f"""
SELECT used, string_agg(int4send(number), '')
FROM (SELECT * FROM leases WHERE {OF_PAGE} AND used IS NOT NULL) AS lease {OF_EPOCH} GROUP BY 1
"""
RESUMED = f"""
SELECT number FROM (SELECT * FROM leases WHERE {OF_PAGE} AND resume_epoch IS NOT NULL) AS lease {OF_EPOCH}
"""
REPORTS = f"""
SELECT cardinality(values), string_agg(int4send(number), ''), string_agg(int8send(step), ''),
    string_agg(array_send(values), ''), string_agg(float8send(coalesce(cost, 'NaN')), '')
FROM (
    SELECT number, step, values, cost
    FROM (SELECT * FROM reports WHERE {OF_PAGE}) AS report {OF_EPOCH} ORDER BY number, step) AS page
GROUP BY 1
"""
RARE = f"""
SELECT number, cause, fixed, constraints, constraint_names, exempt FROM trials
WHERE {OF_PAGE} AND (cause IS NOT NULL OR fixed IS NOT NULL OR constraints IS NOT NULL OR exempt)
"""
ATTRS = f"SELECT number, json_object_agg(key, value)::text FROM trial_attrs WHERE {OF_PAGE} GROUP BY number"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRows:
    """What the tables have of a page of trials, as the database gave it; what to make of it is a thread's work.

    `values` are by their number, `proposed` by the distributions' ids, `suggested` by one, `used` by the names that a
    worker used. The four below are read for those who want all of a trial: `reports`, by the number of their values,
    are of the trials' own epochs; `resumed` are the records of the trials whose curve goes on from an earlier one.
    """

    numbers: Sequence[int]
    next: int | None
    seq: int
    interned: Mapping[int, Interned]
    states: Row
    values: Sequence[Row]
    proposed: Sequence[Row]
    suggested: Sequence[Row]
    used: Sequence[Row]
    reports: Sequence[Row] = ()
    rare: Sequence[Row] = ()
    attrs: Sequence[Row] = ()
    resumed: Sequence[TrialRecord] = ()


async def load_page(connection: Driver, study_id: int, which: Which) -> ColumnRows:
    """All of as many of those trials as are not too much at once. Raises StudyNotFound."""
    sizes = await trials.sizes(connection, study_id, which, PAGE)
    weights = {number: TRIAL_WEIGHT + size for number, size in sizes.items()}
    (statement,), keys = _of_page(study_id, list(sizes), WEIGHTS)
    for number, weight in await (await connection.execute(statement, keys)).fetchall():
        weights[number] += int(weight)
    numbers = _fitting(weights)
    whole = len(numbers) == len(sizes) < PAGE
    return await _rows(connection, study_id, numbers, None if whole else numbers[-1], rest=True)


async def load_params(connection: Driver, study_id: int, which: Which, limit: int) -> ColumnRows:
    """At most so many of those trials without their reports and the like. Raises StudyNotFound."""
    numbers = await trials.page(connection, study_id, which, limit)
    return await _rows(connection, study_id, numbers, numbers[-1] if len(numbers) == limit else None, rest=False)


def _of_page(study_id: int, numbers: Sequence[int], *statements: str) -> tuple[list[str], dict[str, Any]]:
    """The statements about these trials, and their parameters."""
    if not numbers or numbers[-1] - numbers[0] >= len(numbers):
        # As text, which is written once for all statements.
        return list(statements), {"study": study_id, "numbers": array_text(numbers)}
    ranged = [statement.replace(OF_PAGE, OF_RANGE) for statement in statements]
    return ranged, {"study": study_id, "first": numbers[0], "last": numbers[-1]}


def _fitting(weights: Mapping[int, int]) -> list[int]:
    """The first trials that weigh no more than WEIGHT together, but one at least."""
    numbers: list[int] = []
    total = 0
    for number, weight in weights.items():
        total += weight
        if numbers and total > WEIGHT:
            break
        numbers.append(number)
    return numbers


async def _rows(
    connection: Driver, study_id: int, numbers: list[int], following: int | None, *, rest: bool
) -> ColumnRows:
    wanted = (STATES, VALUES, PROPOSED, SUGGESTED, USED, *((REPORTS, RARE, ATTRS, RESUMED) if rest else ()))
    statements, keys = _of_page(study_id, numbers, *wanted)
    async with connection.pipeline():
        clock = await connection.execute(CLOCK, keys)
        interned = await connection.execute(INTERNED, keys)
        cursors = [await connection.execute(statement, keys, binary=True) for statement in statements]
        clock_row = await clock.fetchone()
        if clock_row is None:
            raise StudyNotFound("there is no such study; it may have been made on another database")
        distributions = [interned_from_row(row) for row in await interned.fetchall()]
        (states,), *found = [await cursor.fetchall() for cursor in cursors]
    resumed = [row[0] for row in found.pop()] if rest else []
    of_rest = dict(zip(("reports", "rare", "attrs"), found[4:], strict=True)) if rest else {}
    return ColumnRows(
        numbers=numbers,
        next=following,
        seq=clock_from_row(clock_row).seq,
        interned={one.id: one for one in distributions},
        states=states,
        values=found[0],
        proposed=found[1],
        suggested=found[2],
        used=found[3],
        resumed=(await load_trials(connection, study_id, resumed)).records if resumed else (),
        **of_rest,
    )
