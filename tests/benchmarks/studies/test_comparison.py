"""The comparison as figures and tables."""

from __future__ import annotations

from collections.abc import Sequence

from problems.problem import Problem
from studies.cells import Cell, Sampler
from studies.comparison import Comparison, named, report

LINE = Problem(name="line", family="lines", objective=lambda trial: trial.suggest_float("x", 1.0, 1.0))
FRONT = Problem(name="front", family="fronts", objective=lambda trial: (0.0, 0.0), reference=(1.0, 1.0))
AUTO, OPTUNA = Sampler(name="auto"), Sampler(name="optuna5")


def cell(sampler: Sampler, problem: Problem, at_50: float, at_100: float) -> Cell:
    values = [1.0] * 49 + [at_50] + [1.0] * 49 + [at_100]
    return Cell(
        sampler=sampler.label,
        version="1",
        problem=problem.name,
        fingerprint="f",
        seed=0,
        trials=100,
        told=values,
        noiseless=values,
        seconds=1.0,
    )


def comparison(*problems: Problem) -> Comparison:
    cells: Sequence[Cell] = [
        cell(AUTO, LINE, 0.2, 0.1),
        cell(OPTUNA, LINE, 0.5, 0.4),
        cell(AUTO, FRONT, 0.75, 0.25),
        cell(OPTUNA, FRONT, 0.5, 0.375),
    ]
    return Comparison([AUTO, OPTUNA], problems, cells, 100)


def test_regret_is_of_one_objective_and_volume_of_several() -> None:
    figures = {name: values[0] for name, (_, values) in named(comparison(LINE, FRONT)).items()}
    assert figures == {
        "regret_50_auto": 0.2,
        "regret_50_optuna5": 0.5,
        "hypervolume_50_auto": 0.25,
        "hypervolume_50_optuna5": 0.5,
        "regret_100_auto": 0.1,
        "regret_100_optuna5": 0.4,
        "hypervolume_100_auto": 0.75,
        "hypervolume_100_optuna5": 0.625,
        "rank_auto": 1.0,
        "rank_optuna5": 2.0,
        "wins_optuna5": 2.0,
        "ties_optuna5": 0.0,
        "losses_optuna5": 0.0,
        "p_optuna5": 0.5,
    }


def test_with_half_the_trials_it_is_50_against_100() -> None:
    figures = {name: values[0] for name, (_, values) in named(comparison(LINE, FRONT), halved=True).items()}
    assert {name: value for name, value in figures.items() if name.startswith("half_")} == {
        "half_wins_optuna5": 1.0,
        "half_ties_optuna5": 0.0,
        "half_losses_optuna5": 1.0,
        "half_p_optuna5": 1.0,
    }


def test_there_are_no_volumes_without_several_objectives() -> None:
    assert not [name for name in named(comparison(LINE)) if name.startswith("hypervolume")]
    assert "hypervolume" not in report(comparison(LINE))


def test_the_table_of_half_the_trials_has_both_means() -> None:
    told = report(comparison(LINE, FRONT), halved=True)
    lines = told[told.index("half the trials") :].splitlines()
    assert [line.split()[:5] for line in lines if line.startswith(("lines", "fronts"))] == [
        ["lines", "(1)", "0.2000", "0.4000", "1/0/0"],
        ["fronts", "(1)", "0.2500", "0.6250", "0/0/1"],
    ]


def test_a_longer_budget_may_have_its_headline_later() -> None:
    later = Comparison([AUTO, OPTUNA], [LINE], [], 500, 500)
    assert (later.checkpoints, later.headline) == ([50, 100, 200, 500], 500)
    assert Comparison([AUTO, OPTUNA], [LINE], [], 500).headline == 100
