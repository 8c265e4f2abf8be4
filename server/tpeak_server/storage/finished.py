"""Finished trials read as columns: a few large arrays, put together by the database, in place of rows.

That is how plain trials come: finished, not deleted, with parameters that were all proposed at once and a curve of one
epoch. The others come as records.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.finished import Alike, Finished, Stepwise
from tpeak_server.domain.trial import TrialState

Row = tuple[Any, ...]
Array = NDArray[Any]

# The epoch that counts is the told one, else the newest. What was added has its reports in epoch 0, without a lease.
EPOCH = "coalesce(nullif(told_epoch, 0), trials.epoch)"
PART = "trials.study_id = %(study)s AND trials.number BETWEEN %(first)s AND %(last)s"
# Bounds on both tables let the planner read a part of each by its key, and join without sorting.
GROUPS = f"""
SELECT state, proposed_ids, used, array_send(array_agg(trials.number)), array_send(array_agg(proposed)),
    array_send(array_agg(values) FILTER (WHERE cardinality(values) > 0)),
    array_send(array_agg(constraints) FILTER (WHERE cardinality(constraints) > 0)),
    array_agg(origin), array_send(array_agg(sampled_at_seq IS NOT NULL))
FROM trials LEFT JOIN leases ON leases.study_id = trials.study_id AND leases.number = trials.number
    AND leases.epoch = {EPOCH} AND leases.number BETWEEN %(first)s AND %(last)s
WHERE {PART} AND state NOT IN ('waiting', 'running') AND NOT deleted AND fixed IS NULL AND cardinality(proposed) > 0
    AND leases.resume_epoch IS NULL AND NOT EXISTS (
        SELECT FROM suggestions WHERE suggestions.study_id = trials.study_id AND suggestions.number = trials.number
            AND suggestions.number BETWEEN %(first)s AND %(last)s)
GROUP BY state, proposed_ids, used, cardinality(values), cardinality(constraints)
"""
REPORTS = f"""
SELECT array_send(array_agg(reports.number)), array_send(array_agg(step)), array_send(array_agg(reports.values)),
    array_send(array_agg(coalesce(cost, 0))), array_send(array_agg(cost IS NOT NULL))
FROM trials JOIN reports ON reports.study_id = trials.study_id AND reports.number = trials.number
    AND reports.epoch = {EPOCH} AND reports.number BETWEEN %(first)s AND %(last)s
WHERE {PART} GROUP BY cardinality(reports.values)
"""


NATIVE = {">i4": np.int64, ">i8": np.int64, ">f8": np.float64, "?": np.bool_}
"""What elements become: all integers alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The plain trials among some, as the database gave them: what to make of them may be a thread's work."""

    groups: Sequence[Row]
    reports: Sequence[Row]

    def numbers(self) -> NDArray[np.int64]:
        """Which trials are plain, in no order."""
        return np.concatenate([np.empty(0, dtype=np.int64), *(elements(row[3], ">i4") for row in self.groups)])

    def finished(self) -> Finished:
        """The trials."""
        return Finished(groups=[_alike(row) for row in self.groups], reports=_stepwise(self.reports, of=self.numbers()))


def elements(sent: bytes, kind: str) -> Array:
    """What array_send() made of an array without NULLs, in the array's shape; `kind` is a big-endian numpy type."""
    dimensions = int.from_bytes(sent[:4])
    # Then whether there are NULLs, the type, and by dimension a length and a lower bound; each element has its length.
    shape = np.frombuffer(sent, ">i4", 2 * dimensions, offset=12)[::2]
    element = np.dtype([("length", ">i4"), ("value", kind)])
    values = np.frombuffer(sent, element, offset=12 + 8 * dimensions)["value"]
    return values.reshape(shape).astype(NATIVE[kind])


def _alike(row: Row) -> Alike:
    state, ids, used, numbers, proposed, values, constraints, origins, sampled = row
    return Alike(
        state=TrialState(state),
        ids=tuple(ids),
        used=None if used is None else tuple(used),
        numbers=elements(numbers, ">i4"),
        proposed=elements(proposed, ">f8"),
        values=None if values is None else elements(values, ">f8"),
        constraints=None if constraints is None else elements(constraints, ">f8"),
        origins=[sys.intern(origin) for origin in origins],
        sampled=elements(sampled, "?"),
    )


def _stepwise(rows: Sequence[Row], of: NDArray[np.int64]) -> Stepwise:
    """The reports of these trials; each row has those of one width."""
    values = [elements(row[2], ">f8") for row in rows]
    widest = max((one.shape[1] for one in values), default=1)
    widths = np.repeat([one.shape[1] for one in values], [len(one) for one in values]).astype(np.int64)
    numbers, steps = _joined(rows, 0, ">i4"), _joined(rows, 1, ">i8")
    order = np.lexsort((steps, numbers))
    order = order[np.isin(numbers[order], of)]
    owners, starts = np.unique(numbers[order], return_index=True)
    return Stepwise(
        numbers=owners,
        starts=np.append(starts, len(order)),
        places=np.maximum.reduceat(widths[order], starts),
        costed=np.logical_or.reduceat(_joined(rows, 4, "?")[order], starts),
        steps=steps[order],
        values=np.concatenate([np.empty((0, widest)), *(_widened(one, widest) for one in values)])[order].T.copy(),
        costs=_joined(rows, 3, ">f8")[order],
    )


def _joined(rows: Sequence[Row], place: int, kind: str) -> Array:
    return np.concatenate([np.empty(0, dtype=NATIVE[kind]), *(elements(row[place], kind) for row in rows)])


def _widened(values: Array, widest: int) -> Array:
    return np.pad(values, ((0, 0), (0, widest - values.shape[1])), constant_values=np.nan)
