"""What many workers do to the suggestions: regret, and how many trials repeat one that is still running.

    pip install --editable '.[bench]' optuna==5.0.0
    python benchmarks/crowding.py [--samplers tpe,optuna5,random] [--seeds 3] [--budget-s 1500]

Four problems, each with 1, 16 and 256 simulated workers and 1,000 trials; the trials take the same times for every
sampler. The regret is that of `samplers.py`, after some number of *finished* trials. A suggestion is a *near-duplicate*
if a trial that is running when it is asked for has the same parameters and differs by less than 0.01 in every
coordinate: in a numeric parameter by less than a hundredth of its range, of the logarithms' range where it is
logarithmic; in a categorical not at all. With one worker nothing is running, and there are none. Seeds that all
samplers have finished within the budget count; finished studies are kept below `--cache`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from problems.catalogue import CROWDS, crowded
from problems.problem import Problem, scale_of
from report import table, write_json
from studies.cells import Cell, Sampler, parse_samplers
from studies.command import parser, run
from studies.comparison import whole_seeds
from studies.ranking import Floats, duel
from studies.worker import FLAG, serve

CHECKPOINTS = (50, 100, 200, 500, 1000)
"""After how many finished trials the regret is taken."""


class Crowding:
    """What was found, over the seeds that all samplers have finished for all problems."""

    def __init__(
        self, samplers: Sequence[Sampler], problems: Sequence[Problem], cells: Sequence[Cell], trials: int
    ) -> None:
        self.labels = [sampler.label for sampler in samplers]
        self.problems = problems
        self.checkpoints = [point for point in CHECKPOINTS if point <= trials] or [trials]
        self._cells = {(cell.sampler, cell.problem, cell.seed): cell for cell in cells}
        self.seeds = whole_seeds(self.labels, problems, self._cells)

    def groups(self) -> Iterator[tuple[str, list[Problem]]]:
        """Each problem, then all of them together, by the number of workers."""
        for workers in CROWDS:
            group = [problem for problem in self.problems if problem.workers == workers]
            if group:
                yield from ((problem.name, [problem]) for problem in group)
                yield f"all-by{workers}", group

    def regrets(self, label: str, point: int, problems: Sequence[Problem]) -> Floats:
        """(p, s) of one sampler after that many finished trials."""
        return np.array(
            [
                [self._cells[label, one.name, seed].found(point) / scale_of(one).typical for seed in self.seeds]
                for one in problems
            ]
        )

    def near(self, label: str, problems: Sequence[Problem]) -> Floats:
        """(p, s): the share of one sampler's suggestions that are near-duplicates."""
        return np.array([[np.mean(self._cells[label, one.name, seed].near) for seed in self.seeds] for one in problems])


def report(found: Crowding) -> str:
    """A row for each problem and sampler, then the first sampler against each other one."""
    if not found.seeds:
        return "no seed is finished for all problems and samplers"
    rows = [
        [
            f"{name} {label}",
            *(_spread(found.regrets(label, point, problems)) for point in found.checkpoints),
            _spread(found.near(label, problems)),
        ]
        for name, problems in found.groups()
        for label in found.labels
    ]
    duels = [
        [f"{name} {other}", *(_duel(found, other, point, problems) for point in found.checkpoints)]
        for name, problems in found.groups()
        for other in found.labels[1:]
    ]
    points = [f"@{point}" for point in found.checkpoints]
    return "\n\n".join(
        [
            table(
                f"regret, and near-duplicates: mean (least .. greatest of {len(found.seeds)} seeds)",
                ["", *points, "near"],
                rows,
            ),
            table(f"wins/ties/losses of {found.labels[0]} and p over studies (+ is better)", ["", *points], duels),
        ]
    )


def named(found: Crowding) -> dict[str, tuple[str, Sequence[float]]]:
    """The figures by name, a value for each seed."""
    figures: dict[str, tuple[str, Sequence[float]]] = {}
    for name, problems in found.groups():
        for label in found.labels:
            for point in found.checkpoints:
                regret = found.regrets(label, point, problems).mean(axis=0)
                figures[f"regret_{point}_{name}_{label}"] = ("share of a typical point's", regret.tolist())
            near = found.near(label, problems).mean(axis=0)
            figures[f"near_{name}_{label}"] = ("share of suggestions", near.tolist())
    return figures


def main() -> int:
    """Runs what the cache does not have and prints what was found; the exit code."""
    if FLAG in sys.argv:
        serve()
        return 0
    given = _arguments()
    samplers = parse_samplers(given.samplers)
    problems = [problem for problem in crowded() if problem.workers in given.workers]
    cells = run(given, samplers, problems, __file__)
    found = Crowding(samplers, problems, cells, given.trials)
    print(report(found))
    if given.json and found.seeds:
        write_json(given.json, named(found))
    return 0


def _spread(each: Floats) -> str:
    by_seed = each.mean(axis=0)
    return f"{by_seed.mean():.3f} ({by_seed.min():.3f} .. {by_seed.max():.3f})"


def _duel(found: Crowding, other: str, point: int, problems: Sequence[Problem]) -> str:
    own = found.regrets(found.labels[0], point, problems)
    result = duel(own, found.regrets(other, point, problems))
    return f"{result.wins}/{result.ties}/{result.losses} {result.by_study}"


def _arguments() -> argparse.Namespace:
    found = parser(
        "what many workers do to the suggestions", samplers="tpe,optuna5,random", seeds=3, trials=1000, processes=1
    )
    found.add_argument("--workers", nargs="+", type=int, choices=CROWDS, default=CROWDS)
    return found.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
