"""What it costs that few kernels stand for many bad trials: regret and scores with and without thinning.

    python benchmarks/thinning.py [--most 8192 1024 128] [--seeds 4] [--history 20000] [--made-by sampler]

A history is made of random points and of refinements, which are one in ten: normal steps, between a hundredth and a
tenth of every range wide, from one of the ten best so far, with each categorical drawn anew in one of ten. Or it is
made by the unlimited sampler, sixteen suggestions at a time. It is continued by 200 suggestions, each told before the
next, by the sampler with all its kernels and with at most so many bad ones. The regret is a value over that of the
median random point, 0 being the best there is: shown is that of the suggestions, without the history.

At every tenth suggestion of the unlimited sampler, the thinned ones score its 24 candidates, too: these come from the
good kernels, which are not thinned. A score is log l - log g, less the candidates' mean, which chooses nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from problems.catalogue import chosen
from problems.problem import Problem, RandomTrial, scale_of
from report import spread, table, versions, write_json
from studies.ranking import significance
from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers import TPESampler
from tpeak_server.samplers.layout import Points, layout_of
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tpe.rules import OWN

PROBLEMS = ("bbob8-5d", "bbob8-10d-mixed", "mixed-30")
"""Problems whose trials have all parameters."""

UNLIMITED = sys.maxsize
FORM = ".4f"

REFINED = 0.1
BEST = 10
WIDTHS = (0.01, 0.1)
CHANGED = 0.1
"""Of a history: the share of refinements, how many they begin from, their widths, the share of choices drawn anew."""

AT_ONCE = 16

COMPARED = 10
"""At every so many suggestions the candidates' scores are compared."""


class Fixed:
    """A trial that has its values, by internal ones."""

    def __init__(self, space: Space, values: Mapping[str, float]) -> None:
        self._space = space
        self._values = values

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """Its float."""
        return self._values[name]

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """Its integer."""
        return int(self._values[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Its choice."""
        return choices[int(self._values[name])]


class Asking(RandomTrial):
    """A random trial that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(np.random.default_rng(0))
        self.space: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in [low, high]."""
        self.space[name] = FloatDistribution(low=low, high=high, log=log, step=step)
        return super().suggest_float(name, low, high, log=log, step=step)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """An integer in [low, high]."""
        self.space[name] = IntDistribution(low=low, high=high, log=log, step=step)
        return super().suggest_int(name, low, high, log=log, step=step)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        self.space[name] = CategoricalDistribution(choices=tuple(choices))
        return super().suggest_categorical(name, choices)


class Trials:
    """Complete trials of one problem, in arrays that have room for `most`."""

    def __init__(self, problem: Problem, space: Space, most: int) -> None:
        self.space = space
        self._problem = problem
        self._loss = np.empty((most, 1))
        self._columns = {name: np.empty(most) for name in space}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def losses(self) -> Floats:
        """The losses (n,) in trial order."""
        return self._loss[: self._count, 0]

    def values(self, number: int) -> dict[str, float]:
        """One trial's internal values."""
        return {name: float(column[number]) for name, column in self._columns.items()}

    def add(self, values: Mapping[str, float]) -> float:
        """Evaluates a trial; its loss."""
        for name, column in self._columns.items():
            column[self._count] = values[name]
        loss = self._problem.objective(Fixed(self.space, values))
        self._loss[self._count] = loss
        self._count += 1
        return loss

    def view(self) -> View:
        """What a sampler sees."""
        count = self._count
        return View(
            seq=count,
            numbers=np.arange(count),
            outcome=np.full(count, Outcome.COMPLETE, dtype=np.int8),
            loss=self._loss[:count],
            last_step=np.full(count, -1),
            last_loss=np.full(count, np.nan),
            violation=np.zeros(count),
            columns={name: column[:count] for name, column in self._columns.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Thinned:
    """What was found with at most so many bad kernels: a value of `best` and `median` for each seed.

    Of the candidates that the unlimited sampler chose from: `differences` (s, c) of their scores, and whether another
    one would have been chosen (s,).
    """

    best: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    differences: list[Floats] = field(default_factory=list)
    others: list[bool] = field(default_factory=list)


def history(problem: Problem, seed: int, count: int, room: int, made_by: str) -> Trials:
    """So many trials, with room for more."""
    asking = Asking()
    problem.objective(asking)
    trials = Trials(problem, asking.space, count + room)
    if made_by == "sampler":
        suggested(trials, seed, count)
    else:
        refine(trials, np.random.default_rng(seed), count)
    return trials


def suggested(trials: Trials, seed: int, count: int) -> None:
    """Adds that many suggestions of the unlimited sampler, `AT_ONCE` of them before any is told."""
    sampler = TPESampler(rules=replace(OWN, most_kernels=UNLIMITED))
    pending = {name: np.empty(0) for name in trials.space}
    while len(trials) < count:
        streams = [Stream(seed, number) for number in range(len(trials), min(len(trials) + AT_ONCE, count))]
        for suggestion in sampler.suggest(trials.view(), trials.space, pending, streams):
            trials.add(suggestion.values)


def refine(trials: Trials, rng: np.random.Generator, count: int) -> None:
    """Adds that many random points and refinements."""
    layout = layout_of(trials.space)
    best: list[tuple[float, int]] = []
    for number in range(count):
        point = layout.uniform(rng.random(layout.dimensions))
        if len(best) == BEST and rng.random() < REFINED:
            _, origin = best[rng.integers(BEST)]
            point = refined(layout.point(trials.values(origin)), point, rng)
        best = sorted([*best, (trials.add(layout.values(point)), number)])[:BEST]


def refined(origin: Points, anew: Points, rng: np.random.Generator) -> Points:
    """A point near another one, with some of its choices drawn anew."""
    width = np.exp(rng.uniform(*np.log(WIDTHS)))
    unit = (origin.unit + width * rng.normal(size=origin.unit.shape)).clip(0.0, 1.0)
    return Points(unit, np.where(rng.random(origin.choice.shape) < CHANGED, anew.choice, origin.choice))


def continued(
    trials: Trials, sampler: TPESampler, thinned: Mapping[TPESampler, Thinned], seed: int, count: int
) -> Floats:
    """The losses (count,) of that many suggestions more; what thinned samplers say of them is added to theirs."""
    pending = {name: np.empty(0) for name in trials.space}
    losses = []
    for number in range(count):
        view, stream = trials.view(), Stream(seed, len(trials))
        (suggestion,) = sampler.suggest(view, trials.space, pending, [stream])
        if thinned and number % COMPARED == 0:
            candidates = sampler.explain(view, trials.space, pending, stream).candidates
            points = {name: np.array([one[name] for one in candidates]) for name in trials.space}
            scores = sampler.log_ratio(view, trials.space, pending, points)
            for other, found in thinned.items():
                compare(scores, other.log_ratio(view, trials.space, pending, points), found)
        losses.append(trials.add(suggestion.values))
    return np.array(losses)


def compare(scores: Floats, others: Floats, found: Thinned) -> None:
    """Adds how other scores (c,) of the same candidates differ, and whether the best one is another."""
    difference = others - scores
    found.differences.append(np.abs(difference - difference.mean()))
    found.others.append(bool(np.argmax(others) != np.argmax(scores)))


def measured(problem: Problem, given: argparse.Namespace) -> tuple[list[float], dict[int, Thinned]]:
    """The best regret of each history, and by limit what was found after it."""
    scale = scale_of(problem).typical
    samplers = {most: TPESampler(rules=replace(OWN, most_kernels=most)) for most in [UNLIMITED, *given.most]}
    found = {most: Thinned() for most in samplers}
    before = []
    for seed in range(given.seeds):
        trials = history(problem, seed, given.history, given.suggestions, given.made_by)
        before.append(float(trials.losses.min()) / scale)
        for most, sampler in samplers.items():
            compared = {samplers[other]: found[other] for other in given.most} if most == UNLIMITED else {}
            losses = continued(deepcopy(trials), sampler, compared, seed, given.suggestions)
            found[most].best.append(float(losses.min()) / scale)
            found[most].median.append(float(np.median(losses)) / scale)
    return before, found


def report(found: Mapping[str, tuple[list[float], Mapping[int, Thinned]]], given: argparse.Namespace) -> str:
    """Tables: every problem and limit, and each limit against none over all pairs of continuations."""
    rows = []
    for name, (before, by_limit) in found.items():
        rows.append([f"{name} history", spread(before, FORM), *[""] * 4])
        rows += [[f"{name} {limit(most)}", *_cells(one)] for most, one in by_limit.items()]
    columns = ["", "best regret", "median regret", "median difference", "greatest", "another chosen"]
    title = f"{given.suggestions} suggestions after {given.history:,} trials by {given.made_by}, {given.seeds} seeds"
    against = [[str(most), *(_against(found, most, of) for of in ("best", "median"))] for most in given.most]
    title_against = "less the unlimited one's: mean over problems and seeds, and Wilcoxon's p (+ is better)"
    return "\n\n".join([table(title, columns, rows), table(title_against, ["", "best", "median"], against)])


def limit(most: int) -> str:
    """A limit's name."""
    return "unlimited" if most == UNLIMITED else str(most)


def main() -> int:
    """Measures and prints; the exit code."""
    given = _arguments()
    found = {problem.name: measured(problem, given) for problem in chosen(given.problems, "all")}
    print(report(found, given))
    print(versions("numpy", "scipy"))
    if given.json:
        unit = "share of a typical point's"
        figures: dict[str, tuple[str, Sequence[float]]] = {}
        for name, (_, by_limit) in found.items():
            for most, one in by_limit.items():
                figures[f"best_{name}_{limit(most)}"] = (unit, one.best)
                figures[f"median_{name}_{limit(most)}"] = (unit, one.median)
        write_json(given.json, figures)
    return 0


def _cells(found: Thinned) -> list[str]:
    cells = [spread(found.best, FORM), spread(found.median, FORM)]
    if not found.others:
        return [*cells, "", "", ""]
    differences = np.array(found.differences)
    return [*cells, f"{np.median(differences):.3f}", f"{differences.max():.1f}", f"{np.mean(found.others):.2f}"]


def _against(found: Mapping[str, tuple[list[float], Mapping[int, Thinned]]], most: int, of: str) -> str:
    pairs = [(getattr(each[most], of), getattr(each[UNLIMITED], of)) for _, each in found.values()]
    differences = np.concatenate([np.subtract(*pair) for pair in pairs])
    return f"{differences.mean():+.4f} {significance(differences)}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="what thinning costs")
    parser.add_argument("--most", nargs="+", type=int, default=[8192, 1024, 128], help="limits beside none")
    parser.add_argument("--problems", nargs="+", default=PROBLEMS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--history", type=int, default=20_000)
    parser.add_argument("--made-by", choices=["refinement", "sampler"], default="refinement")
    parser.add_argument("--suggestions", type=int, default=200)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
