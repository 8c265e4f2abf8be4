"""Trials as their values by step, the peers that they are to each other, and what Optuna decides on them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from hypothesis import strategies as st

from tpeak_server.domain.observations import Curve, Decision
from tpeak_server.pruners import Pruner

NAN, INF = math.nan, math.inf

OWN = 1000
"""The number of the trial that a decision is on, where it does not matter."""

optuna.logging.set_verbosity(optuna.logging.ERROR)

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([NAN, INF, -INF, 0.0, 0.5, 1.0, -0.0]))
CURVES = st.dictionaries(st.integers(0, 8), VALUES, max_size=6)
DIRECTIONS = st.sampled_from(["minimize", "maximize"])


def sign_of(direction: str) -> float:
    return 1.0 if direction == "minimize" else -1.0


@dataclass
class Trials:
    """The trials of a study by number, in the user's values: those in `final` are complete, with these final values."""

    curves: Mapping[int, Mapping[int, float]]
    final: Mapping[int, float] = field(default_factory=dict)
    sign: float = 1.0

    @property
    def complete(self) -> int:
        return len(self.final)

    @property
    def deepest(self) -> int | None:
        return max((step for number in self.final for step in self.curves[number]), default=None)

    @property
    def best(self) -> Curve | None:
        numbers = sorted(number for number, value in self.final.items() if not math.isnan(value))
        if not numbers:
            return None
        number = min(numbers, key=lambda number: self.sign * self.final[number])
        return curve_of(self.curves[number], number=number, sign=self.sign)

    def losses_at(self, step: int) -> list[float]:
        return self._ascending(self.curves[number].get(step, NAN) for number in self.final)

    def reached(
        self, step: int, without: int, *, bracket: int = 0, members: Callable[[int], bool] | None = None
    ) -> list[float]:
        others = [number for number in self.curves if number != without and (members is None or members(number))]
        return self._ascending(first_from(self.curves[number], step) for number in others)

    def _ascending(self, values: Iterable[float]) -> list[float]:
        return sorted(self.sign * value for value in values if not math.isnan(value))


def first_from(curve: Mapping[int, float], step: int) -> float:
    """The value at the first step at or beyond `step`, NaN where there is none."""
    return next((curve[at] for at in sorted(curve) if at >= step), NAN)


def complete(*curves: Mapping[int, float], sign: float = 1.0) -> Trials:
    """Complete trials, numbered from 0, of which nobody asks for the best."""
    return Trials(dict(enumerate(curves)), dict.fromkeys(range(len(curves)), 0.0), sign)


def at_step(step: int, *values: float, sign: float = 1.0) -> Trials:
    """Complete trials with one value each."""
    return complete(*({step: value} for value in values), sign=sign)


def curve_of(values: Mapping[int, float], *, number: int = OWN, sign: float = 1.0, new: int = 1) -> Curve:
    """The curve whose last `new` steps came in one report."""
    steps = tuple(sorted(values))
    before = steps[-1 - new] if len(steps) > new else None
    return Curve(number=number, steps=steps, losses=tuple(sign * values[step] for step in steps), before=before)


def decide(
    pruner: Pruner, values: Mapping[int, float], peers: Trials | None = None, *, number: int = OWN, new: int = 1
) -> Decision:
    """The decision on a trial, in its peers' direction, after a report of its last `new` steps."""
    peers = peers or Trials({})
    curve = curve_of(values, number=number, sign=peers.sign, new=new)
    decision = pruner.decide(curve, peers, sign=peers.sign)
    assert (decision.reason is not None) == decision.prune
    return decision


def optunas_decision(pruner: optuna.pruners.BasePruner, values: Mapping[int, float], peers: Trials) -> bool:
    """Optuna's on the same, where all peers are complete."""
    study = optuna.create_study(direction="minimize" if peers.sign > 0 else "maximize", pruner=pruner)
    for number, curve in peers.curves.items():
        study.add_trial(optuna.trial.create_trial(value=peers.final[number], intermediate_values=dict(curve)))
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values=dict(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pruner.prune(study, trial)


def studied(
    ours: Pruner, theirs: optuna.pruners.BasePruner, events: Iterable[tuple[int, float, int]], direction: str
) -> list[tuple[int, int, bool, bool]]:
    """A small study, report by report, in both: (trial, step, our decision, Optuna's) of each.

    An event is (trial, value, gap): the trial reports the value `gap` steps beyond its last one, which was -1 at first.
    A trial that either prunes reports no more.
    """
    study = optuna.create_study(direction=direction, pruner=theirs)
    curves: dict[int, dict[int, float]] = {}
    trials: dict[int, optuna.Trial] = {}
    decisions: list[tuple[int, int, bool, bool]] = []
    for index, value, gap in events:
        trial = trials[index] if index in trials else trials.setdefault(index, study.ask())
        curve = curves.setdefault(trial.number, {})
        if any(number == trial.number and (first or second) for number, _, first, second in decisions):
            continue
        step = max(curve, default=-1) + gap
        curve[step] = value
        trial.report(value, step)
        decided = decide(ours, curve, Trials(curves, {}, sign_of(direction)), number=trial.number)
        decisions.append((trial.number, step, decided.prune, trial.should_prune()))
        if decisions[-1][2] or decisions[-1][3]:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return decisions


def halved_by_definition(
    curve: Mapping[int, float],
    new: int,
    others: Sequence[Mapping[int, float]],
    sign: float,
    rungs: Sequence[int],
    factor: int,
    bootstrap: int,
) -> bool:
    """Successive halving's decision: ranks everything anew at each rung that a new step is the first to reach."""
    for rung in rungs:
        reached = [step for step in sorted(curve) if step >= rung]
        if not reached or reached[0] not in sorted(curve)[-new:]:
            continue
        own = curve[reached[0]]
        if math.isnan(own):
            return True
        beyond = [
            other[min(step for step in other if step >= rung)] for other in others if max(other, default=-1) >= rung
        ]
        there = [own, *(value for value in beyond if not math.isnan(value))]
        better = sum(sign * value < sign * own for value in there)
        if len(there) <= bootstrap or better >= max(len(there) // factor, 1):
            return True
    return False
