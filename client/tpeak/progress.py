"""One line on the terminal that follows `Study.optimize`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from tpeak.constraints import feasible
from tpeak.states import StudyDirection, TrialState

if TYPE_CHECKING:
    from tpeak.frozen import FrozenTrial


class Progress:
    """Counts this call's finished trials and shows the best value among them; silent unless `shown`."""

    def __init__(
        self,
        directions: list[StudyDirection],
        n_trials: int | None,
        *,
        shown: bool,
        stream: TextIO | None = None,
    ) -> None:
        self._sign = -1.0 if directions == [StudyDirection.MAXIMIZE] else 1.0
        self._single = len(directions) == 1
        self._n_trials = n_trials
        self._shown = shown
        self._stream = stream or sys.stderr
        self._started = time.monotonic()
        self._count = 0
        self._best: FrozenTrial | None = None

    def add(self, trial: FrozenTrial) -> None:
        """Count one more finished trial."""
        self._count += 1
        if self._single and trial.state == TrialState.COMPLETE and self._improves(trial):
            self._best = trial
        if self._shown:
            self._stream.write(f"\r{self._line()}\x1b[K")
            self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the line standing."""
        if self._shown and self._count:
            self._stream.write("\n")

    def _improves(self, trial: FrozenTrial) -> bool:
        if not feasible(trial.constraints):
            return False
        if self._best is None:
            return True
        assert trial.value is not None  # complete trials have one
        assert self._best.value is not None
        return self._sign * trial.value < self._sign * self._best.value

    def _line(self) -> str:
        count = f"{self._count}" if self._n_trials is None else f"{self._count}/{self._n_trials}"
        line = f"{count} trials in {time.monotonic() - self._started:.0f} s"
        return line if self._best is None else f"{line}, best {self._best.value:.6g} (trial {self._best.number})"
