"""The comparison as tables to read and figures to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from problems.problem import Problem, scale_of
from report import table
from studies.cells import Cell, Sampler
from studies.ranking import Duel, Floats, duel, ranks

CHECKPOINTS = (50, 100, 200)
"""After how many finished trials the regret is taken."""

HEADLINE = 100
"""The checkpoint of ranks, wins and tests."""


class Comparison:
    """Regrets (p, s) by checkpoint and sampler, over the problems and seeds that all samplers have finished."""

    def __init__(
        self, samplers: Sequence[Sampler], problems: Sequence[Problem], cells: Sequence[Cell], trials: int
    ) -> None:
        self.labels = [sampler.label for sampler in samplers]
        self.checkpoints = [point for point in CHECKPOINTS if point <= trials] or [trials]
        self.headline = max(point for point in self.checkpoints if point <= max(HEADLINE, self.checkpoints[0]))
        by_key = {(cell.sampler, cell.problem, cell.seed): cell for cell in cells}
        self.seeds = whole_seeds(self.labels, problems, by_key)
        self.problems = [] if not self.seeds else list(problems)
        self.seconds = {
            label: [cell.seconds / cell.trials for cell in cells if cell.sampler == label] for label in self.labels
        }
        self._regrets = {
            point: {label: self._matrix(label, point, by_key) for label in self.labels} for point in self.checkpoints
        }

    def families(self) -> dict[str, list[int]]:
        """Family -> the rows of its problems."""
        families: dict[str, list[int]] = {}
        for row, problem in enumerate(self.problems):
            families.setdefault(problem.family, []).append(row)
        return families

    def regrets(self, point: int, rows: Sequence[int] | None = None) -> dict[str, Floats]:
        """Sampler -> regret at the checkpoint, of some rows or all."""
        chosen = range(len(self.problems)) if rows is None else rows
        return {label: regret[list(chosen)] for label, regret in self._regrets[point].items()}

    def duel(self, other: str, point: int, rows: Sequence[int] | None = None) -> Duel:
        """The first sampler against another."""
        regrets = self.regrets(point, rows)
        return duel(regrets[self.labels[0]], regrets[other])

    def _matrix(self, label: str, point: int, by_key: Mapping[tuple[str, str, int], Cell]) -> Floats:
        return np.array(
            [
                [by_key[label, p.name, seed].found(point) / scale_of(p).typical for seed in self.seeds]
                for p in self.problems
            ]
        ).reshape(len(self.problems), len(self.seeds))


def report(comparison: Comparison) -> str:
    """Tables: each problem, each family, and all of them, against each of the other samplers."""
    if not comparison.seeds:
        return "no seed is finished for all problems and samplers"
    head = ["", *(f"{label} @{point}" for label in comparison.labels for point in comparison.checkpoints)]
    parts = [
        table(
            f"mean regret over {len(comparison.seeds)} seeds (0 the best value, 1 the median random point)",
            head,
            [[comparison.problems[row].name, *_means(comparison, [row])] for row in range(len(comparison.problems))],
        ),
        table(
            f"by family: mean regret, then mean rank @{comparison.headline}",
            [*head, *(f"rank {label}" for label in comparison.labels)],
            [
                [f"{name} ({len(rows)})", *_means(comparison, rows), *_ranks(comparison, rows)]
                for name, rows in _groups(comparison)
            ],
        ),
        *(_duels(comparison, other) for other in comparison.labels[1:]),
        "ms a trial: "
        + ", ".join(f"{label} {1e3 * float(np.mean(each)):.1f}" for label, each in comparison.seconds.items()),
    ]
    return "\n\n".join(parts)


def named(comparison: Comparison) -> dict[str, tuple[str, Sequence[float]]]:
    """The figures by name: the regret of every problem, the ranks, and the duels of the first sampler."""
    figures: dict[str, tuple[str, Sequence[float]]] = {}
    headline = comparison.headline
    for point in comparison.checkpoints:
        for label, regret in comparison.regrets(point).items():
            figures[f"regret_{point}_{label}"] = ("share of a typical point's", [float(regret.mean())])
    for label, rank in ranks(comparison.regrets(headline)).items():
        figures[f"rank_{label}"] = ("rank", [float(rank.mean())])
    for other in comparison.labels[1:]:
        result = comparison.duel(other, headline)
        for outcome in ("wins", "ties", "losses"):
            figures[f"{outcome}_{other}"] = ("problems", [float(getattr(result, outcome))])
        figures[f"p_{other}"] = ("probability", [result.by_problem.p])
    return figures


def whole_seeds(
    labels: Sequence[str], problems: Sequence[Problem], by_key: Mapping[tuple[str, str, int], Cell]
) -> list[int]:
    """The seeds of which every sampler has finished every problem."""
    seeds = sorted({seed for _, _, seed in by_key})
    return [s for s in seeds if all((label, problem.name, s) in by_key for label in labels for problem in problems)]


def _groups(comparison: Comparison) -> Iterator[tuple[str, list[int]]]:
    yield from comparison.families().items()
    yield "all", list(range(len(comparison.problems)))


def _means(comparison: Comparison, rows: Sequence[int]) -> list[str]:
    return [
        f"{comparison.regrets(point, rows)[label].mean():.4f}"
        for label in comparison.labels
        for point in comparison.checkpoints
    ]


def _ranks(comparison: Comparison, rows: Sequence[int]) -> list[str]:
    return [f"{rank.mean():.2f}" for rank in ranks(comparison.regrets(comparison.headline, rows)).values()]


def _duels(comparison: Comparison, other: str) -> str:
    rows = []
    for name, of in _groups(comparison):
        cells = [f"{name} ({len(of)})"]
        for point in comparison.checkpoints:
            result = comparison.duel(other, point, of)
            outcome = f"{result.wins}/{result.ties}/{result.losses}"
            cells += [outcome, str(result.by_problem), str(result.by_study)]
        rows.append(cells)
    columns = [text for point in comparison.checkpoints for text in (f"W/T/L @{point}", "p problems", "p studies")]
    return table(
        f"{comparison.labels[0]} against {other}: wins/ties/losses, and Wilcoxon's p (+ is better)",
        ["", *columns],
        rows,
    )
