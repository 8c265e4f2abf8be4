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
from tpeak_server.pruners.resource import Resource

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
    costs: Mapping[int, Mapping[int, float]] = field(default_factory=dict)

    @property
    def complete(self) -> int:
        return len(self.final)

    @property
    def deepest(self) -> int | None:
        return max((step for number in self.final for step in self.curves[number]), default=None)

    @property
    def deepest_cost(self) -> float | None:
        totals = [cost_up_to(self.costs.get(number, {}), 2**53) for number in self.final]
        return max((total for total in totals if total > 0.0), default=None)

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
        self,
        amount: float,
        without: int,
        *,
        resource: Resource = Resource.STEP,
        bracket: int = 0,
        members: Callable[[int], bool] | None = None,
    ) -> list[float]:
        others = [number for number in self.curves if number != without and (members is None or members(number))]
        if resource is Resource.COST:
            return self._ascending(first_costing(self.curves[n], self.costs.get(n, {}), amount) for n in others)
        return self._ascending(first_from(self.curves[number], amount) for number in others)

    def _ascending(self, values: Iterable[float]) -> list[float]:
        return sorted(self.sign * value for value in values if not math.isnan(value))


def first_from(curve: Mapping[int, float], step: float) -> float:
    """The value at the first step at or beyond `step`, NaN where there is none."""
    return next((curve[at] for at in sorted(curve) if at >= step), NAN)


def cost_up_to(costs: Mapping[int, float], step: int) -> float:
    """The sum of the costs at this step and earlier ones, in their order."""
    total = 0.0
    for at in sorted(costs):
        total += costs[at] if at <= step else 0.0
    return total


def first_costing(curve: Mapping[int, float], costs: Mapping[int, float], amount: float) -> float:
    """The value at the first step whose sum of costs is at or beyond `amount`, NaN where there is none."""
    return next((curve[at] for at in sorted(curve) if cost_up_to(costs, at) >= amount), NAN)


def complete(*curves: Mapping[int, float], sign: float = 1.0) -> Trials:
    """Complete trials, numbered from 0, of which nobody asks for the best."""
    return Trials(dict(enumerate(curves)), dict.fromkeys(range(len(curves)), 0.0), sign)


def at_step(step: int, *values: float, sign: float = 1.0) -> Trials:
    """Complete trials with one value each."""
    return complete(*({step: value} for value in values), sign=sign)


def curve_of(
    values: Mapping[int, float],
    *,
    number: int = OWN,
    sign: float = 1.0,
    new: int = 1,
    costs: Mapping[int, float] | None = None,
) -> Curve:
    """The curve whose last `new` steps came in one report."""
    return curve_after(values, sorted(values)[-new:], number=number, sign=sign, costs=costs or {})


def curve_after(
    values: Mapping[int, float], new: Sequence[int], *, number: int, sign: float, costs: Mapping[int, float]
) -> Curve:
    """The curve whose steps `new` came in one report, perhaps behind others."""
    steps = tuple(sorted(values))
    known = [step for step in steps if step not in new]
    return Curve(
        number=number,
        steps=steps,
        losses=tuple(sign * values[step] for step in steps),
        before=max((step for step in known if step < steps[-1]), default=None),
        spent=tuple(cost_up_to(costs, step) for step in steps) if costs else (),
        known_step=max(known, default=None),
        known_cost=cost_up_to({step: costs[step] for step in known if step in costs}, 2**53),
    )


def decide(
    pruner: Pruner,
    values: Mapping[int, float],
    peers: Trials | None = None,
    *,
    number: int = OWN,
    new: int = 1,
    costs: Mapping[int, float] | None = None,
) -> Decision:
    """The decision on a trial, in its peers' direction, after a report of its last `new` steps."""
    peers = peers or Trials({})
    curve = curve_of(values, number=number, sign=peers.sign, new=new, costs=costs)
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
        if fails(own, beyond, sign, factor, bootstrap):
            return True
    return False


def fails(own: float, others: Iterable[float], sign: float, factor: int, bootstrap: int) -> bool:
    """Whether a trial with this value at a rung does not pass it, by counting who is better."""
    there = [own, *(value for value in others if not math.isnan(value))]
    better = sum(sign * value < sign * own for value in there)
    return math.isnan(own) or len(there) <= bootstrap or better >= max(len(there) // factor, 1)


Costly = Sequence[tuple[int, float, float | None]]
"""Reports as they came: step, value and cost, which may be none. Of two at a step the first counts."""

COSTLY = st.lists(
    st.tuples(
        st.integers(-2, 8), VALUES, st.one_of(st.sampled_from([None, 0.0, 0.25, 0.5, 1.0, 3.0]), st.floats(0.0, 9.0))
    ),
    max_size=6,
)


def stored(reports: Costly) -> tuple[dict[int, float], dict[int, float]]:
    """The values by step, and the costs."""
    first = {step: (value, cost) for step, value, cost in reversed(reports)}
    costs = {step: cost for step, (_, cost) in first.items() if cost is not None}
    return {step: value for step, (value, _) in first.items()}, costs


def costly_trials(others: Sequence[Costly], sign: float) -> Trials:
    """Trials with these reports, none of them complete."""
    kept = [stored(reports) for reports in others]
    return Trials(dict(enumerate(c for c, _ in kept)), {}, sign, dict(enumerate(c for _, c in kept)))


def decisions_by_cost(pruner: Pruner, batches: Sequence[Costly], peers: Trials, number: int) -> list[bool]:
    """Whether the rule prunes after each request, of which one without a new step decides nothing."""
    found, reports = [], list[tuple[int, float, float | None]]()
    for batch in batches:
        known = {step for step, _, _ in reports}
        reports += batch
        values, costs = stored(reports)
        new = [step for step in values if step not in known]
        curve = curve_after(values, new, number=number, sign=peers.sign, costs=costs)
        found.append(bool(new) and pruner.decide(curve, peers, sign=peers.sign).prune)
    return found


def halved_by_cost(
    batches: Sequence[Costly],
    others: Sequence[Costly],
    sign: float,
    rungs: Sequence[float],
    factor: int,
    bootstrap: int,
) -> list[bool]:
    """The same by definition: each rung decides once, after the request with which the sum of all costs reaches it."""
    found, decided, reports = [], set[float](), list[tuple[int, float, float | None]]()
    kept = [stored(other) for other in others]
    for batch in batches:
        reports += batch
        values, costs = stored(reports)
        pruned = False
        for rung in rungs:
            reached = [step for step in sorted(values) if cost_up_to(costs, step) >= rung]
            if reached and rung not in decided:
                decided.add(rung)
                theirs = [first_costing(curve, spent, rung) for curve, spent in kept]
                pruned = pruned or fails(values[reached[0]], theirs, sign, factor, bootstrap)
        found.append(pruned)
    return found
