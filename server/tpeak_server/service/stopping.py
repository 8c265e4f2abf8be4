"""A study that ends by itself, decided under its lock when a trial becomes complete, by what is kept beside the clock.

Only what changes stops a study: the trial that first reaches the target, or the one with which patience ends. So a
study that is resumed goes on, though its target was reached, and is given all its patience again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tpeak_server.domain.stopping import Progress, StopWhen
from tpeak_server.domain.study import StudyState
from tpeak_server.service.ledger import Ledger

GOES_ON = (StudyState.OPEN, StudyState.PAUSED)
"""States of a study that can be stopped."""


def count_told(ledger: Ledger, number: int) -> None:
    """Takes account of a trial whose result was told, and stops the study where it was the last one wanted."""
    rule, figure = ledger.study.stop_when, _figure(ledger, number)
    if rule is None or figure is None:
        return
    before = ledger.progress
    ledger.progress = before.told(figure)
    _stop_at_target(ledger, rule, before, number)
    if rule.patience is not None and ledger.progress.unimproved >= rule.patience:
        best = _shown([ledger.study.signs[0] * ledger.progress.best])
        _stop(ledger, f"{ledger.progress.unimproved} trials in a row did not improve on the best value, {best}")


def count_added(ledger: Ledger, number: int) -> None:
    """Takes account of a finished trial from outside, which may reach the target, but uses up no patience."""
    rule, figure = ledger.study.stop_when, _figure(ledger, number)
    if rule is None or figure is None:
        return
    before = ledger.progress
    ledger.progress = before.added(figure)
    _stop_at_target(ledger, rule, before, number)


def count_deleted(ledger: Ledger, number: int) -> None:
    """Takes account of a trial that is about to be deleted: where it was the best, another one is from here on."""
    figure = _figure(ledger, number)
    if figure is not None and figure == ledger.progress.best:
        count_anew(ledger, without=number)


def count_anew(ledger: Ledger, without: int | None = None) -> None:
    """Begins to count: the best is that of the trials that are there, and patience is at its start."""
    rule, signs = ledger.study.stop_when, ledger.study.signs
    figures = [] if rule is None else [rule.figure(losses, signs) for losses in ledger.feasible_losses(without)]
    ledger.progress = Progress(best=min(figures)) if figures else Progress()


def apply_rule(ledger: Ledger) -> None:
    """Begins to count by a rule that was just set, and stops the study where its target is reached already."""
    count_anew(ledger)
    rule, signs = ledger.study.stop_when, ledger.study.signs
    if rule is not None and rule.reached(ledger.progress.best, signs):
        _stop(ledger, f"the target {_shown(rule.target or ())} was reached before it was set")


def _figure(ledger: Ledger, number: int) -> float | None:
    """The figure of the trial, None unless it is complete and feasible and the study has a rule."""
    rule, losses = ledger.study.stop_when, ledger.losses(ledger.record(number))
    return None if rule is None or losses is None else rule.figure(losses, ledger.study.signs)


def _stop_at_target(ledger: Ledger, rule: StopWhen, before: Progress, number: int) -> None:
    signs = ledger.study.signs
    if rule.reached(ledger.progress.best, signs) and not rule.reached(before.best, signs):
        values = ledger.record(number).trial.values or ()
        _stop(ledger, f"trial {number} reached the target {_shown(rule.target or ())} with {_shown(values)}")


def _stop(ledger: Ledger, reason: str) -> None:
    if ledger.study.state not in GOES_ON:
        return
    ledger.study = ledger.changes.study = replace(ledger.study, state=StudyState.STOPPED, stop_reason=reason)
    ledger.event("stopped", reason=reason)


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
