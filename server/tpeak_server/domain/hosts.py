"""Hosts that fail: a node with a broken driver fails in seconds, and would burn through a study while all others train.

A failure is fast if it came soon after the lease, and much sooner than a trial of the study takes to complete; where
the whole objective takes milliseconds, a failure in milliseconds says nothing. docs/adr/0008 has the reasons.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAST_S = 10.0
"""A failure later than that is the point's and not the host's."""

FAST_SHARE = 0.2
"""A failure is fast within this share of the median duration of a complete trial."""

MEDIAN_NEEDS = 5
"""Complete trials from which on their median duration counts."""

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0

OUTLAST_NEEDS = 3
"""Complete trials from which on it is known how long a trial takes."""

OUTLAST_SHARE = 0.9
"""The share of complete trials that took no longer than a trial is expected to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that has failed fast `failures` times in a row, the last time for `cause`.

    `owed` counts those failures that ended their trial and have not been given back to the study's budget.
    """

    name: str
    failures: int = 0
    owed: int = 0
    paused_until: datetime | None = None
    cause: str | None = None

    def paused_s(self, now: datetime) -> float:
        """Seconds that are left of its pause, 0 where it is not paused."""
        if self.paused_until is None:
            return 0.0
        return max(0.0, (self.paused_until - now).total_seconds())


def is_fast(age_s: float, durations_s: Sequence[float]) -> bool:
    """Whether a failure that came so long after its lease is fast, beside how long complete trials took."""
    if age_s > FAST_S:
        return False
    return len(durations_s) < MEDIAN_NEEDS or age_s <= FAST_SHARE * statistics.median(durations_s)


def failed_fast(host: Host, *, now: datetime, limit: int, ended_trial: bool, cause: str | None) -> Host:
    """The host after one more fast failure: paused from the `limit`th in a row on, each time for twice as long."""
    failures = host.failures + 1
    once_more = replace(host, failures=failures, owed=host.owed + ended_trial, cause=cause)
    if failures < limit:
        return once_more
    return replace(once_more, paused_until=now + timedelta(seconds=pause_s(failures - limit)))


def pause_s(pauses_before: int) -> float:
    """How long a host is paused that was paused so many times in this row."""
    # No power of two beyond what the longest pause needs: the row may be of any length.
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(pauses_before, 10))


def outlasts(wall_time_s: float, durations_s: Sequence[float]) -> bool:
    """Whether a trial is expected to take longer than this, going by how long complete trials took."""
    if len(durations_s) < OUTLAST_NEEDS:
        return False
    # The smallest duration that so large a share of all does not exceed.
    expected_s = sorted(durations_s)[math.ceil(OUTLAST_SHARE * len(durations_s)) - 1]
    return expected_s > wall_time_s
