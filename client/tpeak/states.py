"""Trial states and directions, whose values are the wire's words."""

from __future__ import annotations

from enum import StrEnum


class TrialState(StrEnum):
    """Where a trial is in its life. `FAIL` is another name of `FAILED`."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    FAIL = "failed"
    LOST = "lost"

    def is_finished(self) -> bool:
        """Whether the trial has come to its end, whichever."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


class StudyDirection(StrEnum):
    """Which values are better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"
