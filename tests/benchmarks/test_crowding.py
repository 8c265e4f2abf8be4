"""What is said of crowded studies."""

from __future__ import annotations

import pytest

from crowding import Crowding, named, report
from problems.catalogue import crowded
from problems.problem import scale_of
from studies.cells import Cell, Sampler

PROBLEM = next(problem for problem in crowded() if problem.name == "models-by256")
SAMPLERS = [Sampler(name="tpe"), Sampler(name="random")]


def cell(sampler: str, seed: int, values: list[float], near: list[bool]) -> Cell:
    return Cell(
        sampler=sampler,
        version="1",
        problem=PROBLEM.name,
        fingerprint="f",
        seed=seed,
        trials=len(values),
        told=values,
        noiseless=values,
        seconds=1.0,
        near=near,
    )


@pytest.fixture
def found() -> Crowding:
    typical = scale_of(PROBLEM).typical
    cells = [
        cell("tpe", 0, [typical] * 50 + [0.5 * typical] * 50, [True] * 25 + [False] * 75),
        cell("tpe", 1, [typical] * 99 + [0.25 * typical], [False] * 100),
        cell("tpe", 2, [typical] * 100, [True] * 100),
        cell("random", 0, [typical] * 100, [False] * 100),
        cell("random", 1, [typical] * 100, [True] * 100),
    ]
    return Crowding(SAMPLERS, [PROBLEM], cells, 100)


def test_only_seeds_that_all_samplers_finished_count(found: Crowding) -> None:
    assert found.seeds == [0, 1]
    assert Crowding(SAMPLERS, [PROBLEM], [], 100).seeds == []


def test_regrets_are_after_finished_trials_and_shares_are_of_suggestions(found: Crowding) -> None:
    assert found.regrets("tpe", 50, [PROBLEM]).tolist() == [[1.0, 1.0]]
    assert found.regrets("tpe", 100, [PROBLEM]).tolist() == [[0.5, 0.25]]
    assert found.near("tpe", [PROBLEM]).tolist() == [[0.25, 0.0]]


def test_the_figures_have_a_value_for_each_seed(found: Crowding) -> None:
    figures = named(found)
    assert figures["regret_100_models-by256_tpe"] == ("share of a typical point's", [0.5, 0.25])
    assert figures["near_all-by256_random"] == ("share of suggestions", [0.0, 1.0])


def test_the_report_says_mean_and_spread(found: Crowding) -> None:
    assert "0.375 (0.250 .. 0.500)" in report(found)
    assert report(Crowding(SAMPLERS, [PROBLEM], [], 100)) == "no seed is finished for all problems and samplers"
