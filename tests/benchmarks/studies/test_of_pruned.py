"""Studies with a pruner, of either service."""

from __future__ import annotations

import numpy as np
import pytest

from problems.curves import CurveProblem
from problems.grids import Axis
from studies.arms import parse_arms
from studies.of_pruned import study_of
from studies.stepwise import Finished, run
from tests.conftest import Server

RATE = Axis(name="rate", low=0.0, high=1.0, count=11)
STEPS = np.linspace(0.1, 1.0, 10)
PROBLEM = CurveProblem(
    name="line",
    axes=(RATE,),
    values=np.outer(np.linspace(0.0, 1.0, 11), STEPS),
    seconds=np.ones((11, 10)),
)


def finished(arm: str, trials: int = 20, workers: int = 1) -> list[Finished]:
    (parsed,) = parse_arms(arm)
    return list(run(study_of(parsed, PROBLEM, 1, trials), PROBLEM, trials=trials, workers=workers))


@pytest.mark.parametrize("arm", ["optuna5+median", "optuna5_random+hyperband", "optuna5+successive_halving"])
def test_optuna_prunes_and_does_so_again(arm: str) -> None:
    found = finished(arm)
    assert 0 < sum(one.value is None for one in found) < len(found)
    assert found[19].epochs < 200
    assert finished(arm) == found


def test_optunas_grid_ends() -> None:
    assert len(finished("optuna5_grid", 100)) == 11


@pytest.fixture
def served(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPEAK_URL", server.url)
    monkeypatch.setenv("TPEAK_TOKEN", server.token)


@pytest.mark.usefixtures("served")
def test_the_server_prunes_what_the_client_reports() -> None:
    arm = 'random+successive_halving:{"min_resource":1,"reduction_factor":3}'
    found = finished(arm)
    assert 0 < sum(one.value is None for one in found) < len(found)
    assert found[19].epochs < 200 <= found[-1].epochs
    assert finished(arm) == found


@pytest.mark.usefixtures("served")
def test_the_server_hands_out_a_grid_once_to_several_workers() -> None:
    found = finished("grid", 100, workers=4)
    assert (sorted(one.final for one in found), found[-1].epochs) == (
        pytest.approx([place / 10 for place in range(11)]),
        110,
    )
