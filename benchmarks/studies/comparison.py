"""The comparison as tables to read and figures to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from problems.problem import Problem, scale_of
from report import table
from studies.cells import Cell, Sampler
from studies.ranking import Duel, Floats, duel, ranks

CHECKPOINTS = (50, 100, 200, 500)
"""After how many finished trials the regret is taken."""

HEADLINE = 100
"""The checkpoint of ranks, wins and tests."""

HALVES = (50, 100)
"""The checkpoints of a comparison with half the trials: the first sampler's, and the other one's."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is shown of the regrets of some problems, by their rows, and its title."""

    title: str
    rows: Sequence[int]
    shown: Callable[[Floats], float]


class Comparison:
    """Regrets (p, s) by checkpoint and sampler, over the problems and seeds that all samplers have finished.

    Of a problem with several objectives the regret is the share of the front's volume that was not found.
    """

    def __init__(
        self,
        samplers: Sequence[Sampler],
        problems: Sequence[Problem],
        cells: Sequence[Cell],
        trials: int,
        headline: int = HEADLINE,
    ) -> None:
        self.labels = [sampler.label for sampler in samplers]
        self.checkpoints = [point for point in CHECKPOINTS if point <= trials] or [trials]
        self.headline = max(point for point in self.checkpoints if point <= max(headline, self.checkpoints[0]))
        by_key = {(cell.sampler, cell.problem, cell.seed): cell for cell in cells}
        self.seeds = whole_seeds(self.labels, problems, by_key)
        self.problems = [] if not self.seeds else list(problems)
        self.seconds = {
            label: [cell.seconds / cell.trials for cell in cells if cell.sampler == label] for label in self.labels
        }
        self._regrets = {
            point: {label: self._matrix(label, point, by_key) for label in self.labels} for point in self.checkpoints
        }

    def groups(self, rows: Sequence[int] | None = None) -> Iterator[tuple[str, list[int]]]:
        """Each family with the rows of its problems, then all of them; of some rows or all."""
        families: dict[str, list[int]] = {}
        every = list(range(len(self.problems))) if rows is None else list(rows)
        for row in every:
            families.setdefault(self.problems[row].family, []).append(row)
        yield from families.items()
        yield "all", every

    def single(self) -> list[int]:
        """The rows of problems with one objective."""
        return [row for row, problem in enumerate(self.problems) if problem.objectives == 1]

    def several(self) -> list[int]:
        """The rows of problems with several objectives."""
        return [row for row, problem in enumerate(self.problems) if problem.objectives > 1]

    def regrets(self, point: int, rows: Sequence[int] | None = None) -> dict[str, Floats]:
        """Sampler -> regret at the checkpoint, of some rows or all."""
        chosen = range(len(self.problems)) if rows is None else rows
        return {label: regret[list(chosen)] for label, regret in self._regrets[point].items()}

    def duel(self, other: str, point: int, rows: Sequence[int] | None = None, *, of_other: int | None = None) -> Duel:
        """The first sampler against another one, which may have had other many trials."""
        own = self.regrets(point, rows)[self.labels[0]]
        return duel(own, self.regrets(of_other or point, rows)[other])

    def has_halves(self) -> bool:
        """Whether the budget is for a comparison with half the trials."""
        return set(HALVES) <= set(self.checkpoints)

    def _matrix(self, label: str, point: int, by_key: Mapping[tuple[str, str, int], Cell]) -> Floats:
        return np.array(
            [
                [by_key[label, p.name, seed].found(point) / scale_of(p).typical for seed in self.seeds]
                for p in self.problems
            ]
        ).reshape(len(self.problems), len(self.seeds))


def report(comparison: Comparison, *, halved: bool = False) -> str:
    """Tables: each problem, each family, and all of them, against each of the other samplers; `halved` with half the
    trials, too.
    """
    if not comparison.seeds:
        return "no seed is finished for all problems and samplers"
    measures = [
        measure
        for measure in (
            Measure("mean regret (0 the best value, 1 the median random point)", comparison.single(), _as_regret),
            Measure("mean normalised hypervolume (1 the whole front)", comparison.several(), _as_volume),
        )
        if measure.rows
    ]
    others = comparison.labels[1:]
    parts = [
        *(part for measure in measures for part in _tables(comparison, measure)),
        *(_duels(comparison, other) for other in others),
        *(
            _halves(comparison, other, measure)
            for other in others
            for measure in measures
            if halved and comparison.has_halves()
        ),
        "ms a trial: "
        + ", ".join(f"{label} {1e3 * float(np.mean(each)):.1f}" for label, each in comparison.seconds.items()),
    ]
    return "\n\n".join(parts)


def named(comparison: Comparison, *, halved: bool = False) -> dict[str, tuple[str, Sequence[float]]]:
    """The figures by name: the regret and the volume of every problem, the ranks, and the duels of the first sampler;
    `halved` those with half the trials, too.
    """
    figures: dict[str, tuple[str, Sequence[float]]] = {}
    headline = comparison.headline
    for point in comparison.checkpoints:
        if single := comparison.single():
            for label, regret in comparison.regrets(point, single).items():
                figures[f"regret_{point}_{label}"] = ("share of a typical point's", [float(regret.mean())])
        if several := comparison.several():
            for label, missing in comparison.regrets(point, several).items():
                figures[f"hypervolume_{point}_{label}"] = ("share of the front's", [_as_volume(missing)])
    for label, rank in ranks(comparison.regrets(headline)).items():
        figures[f"rank_{label}"] = ("rank", [float(rank.mean())])
    for other in comparison.labels[1:]:
        figures |= _of_duel("", other, comparison.duel(other, headline))
        if halved and comparison.has_halves():
            figures |= _of_duel("half_", other, comparison.duel(other, HALVES[0], of_other=HALVES[1]))
    return figures


def whole_seeds(
    labels: Sequence[str], problems: Sequence[Problem], by_key: Mapping[tuple[str, str, int], Cell]
) -> list[int]:
    """The seeds of which every sampler has finished every problem."""
    seeds = sorted({seed for _, _, seed in by_key})
    return [s for s in seeds if all((label, problem.name, s) in by_key for label in labels for problem in problems)]


def _as_regret(regret: Floats) -> float:
    return float(regret.mean())


def _as_volume(missing: Floats) -> float:
    return 1.0 - float(missing.mean())


def _of_duel(prefix: str, other: str, result: Duel) -> dict[str, tuple[str, Sequence[float]]]:
    counted = {
        f"{prefix}{outcome}_{other}": ("problems", [float(getattr(result, outcome))])
        for outcome in ("wins", "ties", "losses")
    }
    return {**counted, f"{prefix}p_{other}": ("probability", [result.by_problem.p])}


def _tables(comparison: Comparison, measure: Measure) -> list[str]:
    head = ["", *(f"{label} @{point}" for label in comparison.labels for point in comparison.checkpoints)]
    return [
        table(
            f"{measure.title}, {len(comparison.seeds)} seeds",
            head,
            [[comparison.problems[row].name, *_means(comparison, [row], measure)] for row in measure.rows],
        ),
        table(
            f"by family: the same, then mean rank @{comparison.headline}",
            [*head, *(f"rank {label}" for label in comparison.labels)],
            [
                [f"{name} ({len(of)})", *_means(comparison, of, measure), *_ranks(comparison, of)]
                for name, of in comparison.groups(measure.rows)
            ],
        ),
    ]


def _means(comparison: Comparison, rows: Sequence[int], measure: Measure) -> list[str]:
    return [
        f"{measure.shown(comparison.regrets(point, rows)[label]):.4f}"
        for label in comparison.labels
        for point in comparison.checkpoints
    ]


def _ranks(comparison: Comparison, rows: Sequence[int]) -> list[str]:
    return [f"{rank.mean():.2f}" for rank in ranks(comparison.regrets(comparison.headline, rows)).values()]


def _duels(comparison: Comparison, other: str) -> str:
    rows = []
    for name, of in comparison.groups():
        results = [comparison.duel(other, point, of) for point in comparison.checkpoints]
        rows.append([f"{name} ({len(of)})", *(cell for result in results for cell in _outcome(result))])
    columns = [text for point in comparison.checkpoints for text in (f"W/T/L @{point}", "p problems", "p studies")]
    return table(
        f"{comparison.labels[0]} against {other}: wins/ties/losses, and Wilcoxon's p (+ is better)",
        ["", *columns],
        rows,
    )


def _halves(comparison: Comparison, other: str, measure: Measure) -> str:
    label = comparison.labels[0]
    points = dict(zip((label, other), HALVES, strict=True))
    rows = []
    for name, of in comparison.groups(measure.rows):
        means = [f"{measure.shown(comparison.regrets(point, of)[one]):.4f}" for one, point in points.items()]
        result = comparison.duel(other, HALVES[0], of, of_other=HALVES[1])
        rows.append([f"{name} ({len(of)})", *means, *_outcome(result)])
    return table(
        f"half the trials, {label} against {other}: {measure.title}",
        ["", *(f"{one} @{point}" for one, point in points.items()), "W/T/L", "p problems", "p studies"],
        rows,
    )


def _outcome(result: Duel) -> list[str]:
    return [f"{result.wins}/{result.ties}/{result.losses}", str(result.by_problem), str(result.by_study)]
