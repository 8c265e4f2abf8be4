"""Which problems there are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from problems import categorical, conditional, lattices
from problems.catalogue import NOISE, WORKERS, catalogue, chosen, crowded, halves
from problems.problem import Problem, RandomTrial, Trial, scale_of

CLOSED_FORMS = [*conditional.problems(), *categorical.problems(), *lattices.problems()]


def test_every_family_has_as_many_problems_to_tune_on_as_to_report() -> None:
    half = halves(catalogue())
    counted = Counter((problem.family, half[problem.name]) for problem in catalogue())
    assert counted == {
        (family, of): count
        for family, count in {
            "synthetic": 4, "table": 3, "training": 2, "conditional": 4, "categorical": 3, "noisy": 3, "parallel": 5,
            "continuous": 12, "constrained": 4, "objectives": 4, "grid": 2,
        }.items()
        for of in ("tune", "report")
    }  # fmt: skip


def test_a_noisy_or_parallel_problem_is_in_the_half_of_its_original() -> None:
    half = halves(catalogue())
    for variant in chosen(["noisy", "parallel"], "all"):
        original = variant.name.removesuffix("-noisy").removesuffix(f"-x{WORKERS}")
        assert half[variant.name] == half[original]


def test_problems_are_chosen_by_names_and_families() -> None:
    assert [problem.name for problem in chosen(["ordered-50*", "jenatton"], "tune")] == [
        "jenatton",
        "ordered-50",
        "ordered-50-x16",
    ]
    assert {problem.noise for problem in chosen(["noisy"], "all")} == {NOISE}


def test_each_crowded_problem_has_few_workers_and_many() -> None:
    assert [(problem.name, problem.workers) for problem in crowded()][::4] == [
        ("bbob8-5d-by1", 1),
        ("bbob8-5d-by16", 16),
        ("bbob8-5d-by256", 256),
    ]
    assert {problem.name for problem in crowded()}.isdisjoint(problem.name for problem in catalogue())


@pytest.mark.parametrize("problem", CLOSED_FORMS, ids=lambda problem: problem.name)
def test_no_point_is_below_zero_and_the_seed_decides(problem: Problem) -> None:
    def draws(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        return [problem.objective(RandomTrial(rng)) for _ in range(200)]

    assert min(draws(1)) >= 0.0
    assert draws(1) == draws(1) != draws(2)


def test_the_scale_changes_with_the_problem_alone() -> None:
    problem = conditional.problems()[0]
    other = Problem(name="other", family="conditional", objective=lambda trial: trial.suggest_float("x", 0.0, 1.0))
    assert scale_of(other).typical == pytest.approx(0.5, abs=0.05)
    assert scale_of(problem).fingerprint == scale_of(problem).fingerprint != scale_of(other).fingerprint


def test_what_an_objective_says_of_constraints_and_the_reference_are_part_of_the_fingerprint() -> None:
    def objective(trial: Trial, limit: float) -> float:
        value = trial.suggest_float("x", 0.0, 1.0)
        trial.set_constraint("c", limit - value)
        return value

    def problem(limit: float) -> Problem:
        return Problem(name="p", family="f", objective=lambda trial: objective(trial, limit), constrained=True)

    assert scale_of(problem(0.5)).typical == pytest.approx(0.75, abs=0.05)
    assert scale_of(problem(0.5)).fingerprint != scale_of(problem(0.25)).fingerprint
    fronts = [
        Problem(name="p", family="f", objective=lambda trial: (0.0, 0.0), reference=(worst, 1.0))
        for worst in (1.0, 2.0)
    ]
    assert scale_of(fronts[0]).fingerprint != scale_of(fronts[1]).fingerprint
    assert [front.objectives for front in fronts] == [2, 2]
