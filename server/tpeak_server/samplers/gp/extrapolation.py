"""What pruned trials would have come to, as far as the curves of others tell.

At every step where trials were pruned, what those that went on had there is regressed on linearly for the next such
step, and from the last one for the end. So each regression has the trials of one rung; whether one of them went on was
decided by what it had there, and a choice by what one regresses on does not bias a regression. The lines together lead
from where a trial was pruned to its expected loss.

| symbol | shape | meaning |
|---|---|---|
| n | | finished trials |
| s | | stages: steps at which trials were pruned |
| reached | (n, s + 1) | the loss at the last report up to each stage, then the final one; NaN beyond what it has |
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats, Outcome, Reports, View

MOST_STAGES = 16

PRIOR = 1.0
"""As many trials as this are worth what is believed without any: that a trial keeps its distance to the others."""

SPAN = 10.0
"""What is further above the median than so many times the median's distance to the least says nothing about slopes."""

HUGE = 1e150
"""Losses beyond are no losses: their squares overflow."""


def extrapolated(view: View) -> View:
    """The same where pruned trials count as complete, with the loss that is expected of them.

    Those without a finite report remain as they are, and so does every trial where nothing is known of reports.
    """
    pruned = (view.outcome == Outcome.PRUNED) & (np.abs(view.last_loss) < HUGE)
    if view.reports is None or not pruned.any():
        return view
    stages = _stages(view.last_step[pruned])
    lines = _lines(_reached(view, view.reports, stages))
    own = stages.searchsorted(view.last_step[pruned], side="right") - 1
    loss = view.loss.copy()
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number then is as bad as the worst
        loss[pruned, 0] = lines[own, 0] + lines[own, 1] * view.last_loss[pruned]
    return replace(view, loss=loss, outcome=np.where(pruned, Outcome.COMPLETE, view.outcome).astype(np.int8))


def _stages(last: NDArray[np.int64]) -> NDArray[np.int64]:
    """The steps (s,) at which trials ended, ascending: the first of them, and evenly many up to each."""
    steps = np.unique(last)
    kept = np.linspace(0, len(steps) - 1, min(len(steps), MOST_STAGES))
    return steps[np.unique(np.round(kept).astype(np.int64))]


def _reached(view: View, reports: Reports, stages: NDArray[np.int64]) -> Floats:
    """What trials had at the stages, and at the end (n, s + 1)."""
    reached = np.full((len(view.numbers), len(stages) + 1), np.nan)
    for row, (first, end) in enumerate(zip(reports.starts[:-1], reports.starts[1:], strict=True)):
        if end > first:
            steps = reports.steps[first:end]
            at = steps.searchsorted(stages, side="right") - 1
            there = (at >= 0) & (stages <= steps[-1])
            reached[row, :-1][there] = reports.losses[first:end][at[there]]
    complete = view.outcome == Outcome.COMPLETE
    reached[complete, -1] = view.loss[complete, 0]
    reached[~(np.abs(reached) < HUGE)] = np.nan
    return reached


def _lines(reached: Floats) -> Floats:
    """From the loss at each stage to the final one: intercept and slope (s, 2)."""
    columns = [_cut(column) for column in reached.T]
    lines = np.empty((len(columns) - 1, 2))
    intercept, slope = 0.0, 1.0
    for stage in reversed(range(len(lines))):
        here, there = columns[stage : stage + 2]
        both = np.isfinite(here) & np.isfinite(there)
        if both.any():
            own = _line(here[both], there[both])
            intercept, slope = intercept + slope * own[0], slope * own[1]
        lines[stage] = intercept, slope
    return lines


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """The intercept and slope, not below 0, of the line through (n,) points."""
    middle, to = float(x.mean()), float(y.mean())
    off = x - middle
    spread = float(off @ off)
    prior = PRIOR * spread / len(x)
    slope = max(float(off @ (y - to)) + prior, 0.0) / (spread + prior) if spread > 0 else 1.0
    return to - slope * middle, slope


def _cut(losses: Floats) -> Floats:
    """The losses (n,), those that are far above the others at a limit; NaN as it is."""
    known = np.sort(losses)[: np.count_nonzero(np.isfinite(losses))]
    if not len(known):
        return losses
    median = known[len(known) // 2]
    limit: Floats = np.minimum(losses, median + SPAN * (median - known[0]))
    return limit
