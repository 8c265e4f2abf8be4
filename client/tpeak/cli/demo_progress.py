"""What the demo shows: one line while it runs, a summary at its end."""

from __future__ import annotations

import sys
import time

from tpeak.cli.demo_study import EPOCHS
from tpeak.errors import NotFound
from tpeak.study import Study

SHOWN = ("running", "complete", "pruned", "failed")


class Progress:
    """How far a study is: on a terminal a line that renews itself, elsewhere a line each time."""

    def __init__(self, study: Study, trials: int, seconds: float) -> None:
        self._study = study
        self._trials = trials
        self._seconds = seconds
        self._started = time.monotonic()
        self._in_place = sys.stdout.isatty()

    def show(self) -> None:
        """Prints the state of now."""
        line = self._line()
        print(f"\r{line:<100}" if self._in_place else line, end="" if self._in_place else "\n", flush=True)

    def close(self) -> None:
        """Prints the last state."""
        self.show()
        print("\n" if self._in_place else "", flush=True)

    def _line(self) -> str:
        counts = counts_of(self._study)
        passed = time.monotonic() - self._started
        finished = counts["complete"] + counts["pruned"] + counts["failed"]
        rate = finished / passed if passed else 0.0
        left = self._seconds - passed
        if rate:
            left = min(left, (self._trials - finished) / rate)
        states = "  ".join(f"{state} {counts[state]}" for state in SHOWN if counts[state] or state != "failed")
        best, left = _best(self._study), max(0.0, left)
        return f"{passed:4.0f} s   {states}   best {best}   {rate:.1f} trials/s   about {left:.0f} s left"


def counts_of(study: Study) -> dict[str, int]:
    """How many trials are in each state."""
    counts: dict[str, int] = study._routes.study()["counts"]
    return counts


def summary(study: Study) -> str:
    """The study's best parameters, and how its trials split."""
    counts = counts_of(study)
    epochs = sum(len(trial.intermediate_values) for trial in study.get_trials(deepcopy=False))
    best = study.best_trial
    lines = [
        f"{counts['complete']} trials complete, {counts['pruned']} pruned, {counts['failed']} failed; {epochs} epochs "
        f"trained of {EPOCHS * sum(counts.values())} without pruning",
        f"best accuracy {best.value:.4f} (trial {best.number}) with",
        *(f"    {name:<15}{_shown(value)}" for name, value in best.params.items()),
        "",
    ]
    return "\n".join(lines)


def _best(study: Study) -> str:
    try:
        best = study._routes.best()
    except NotFound:
        return "-"
    return f"{best['values'][0]:.4f}"


def _shown(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
