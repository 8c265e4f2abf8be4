"""The command that compares samplers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from samplers import arguments
from studies.matches import MIXED


@pytest.mark.parametrize(
    ("given", "samplers", "trials", "problems"),
    [
        ([], "tpe,optuna5,optuna5_group,optuna4", 200, MIXED),
        (["--sampler", "auto"], "auto,optuna5", 200, (*MIXED, "constrained", "objectives")),
        (["--sampler", "cmaes"], "cmaes,optuna5_cmaes", 500, ("synthetic", "continuous")),
        (["--sampler", "nsgaii", "--trials", "300"], "nsgaii,optuna5_nsgaii", 300, ("objectives",)),
        (["--sampler", "qmc", "--problems", "table"], "qmc,optuna5_qmc", 200, ["table"]),
        (["--samplers", "tpe,random", "--problems", "*"], "tpe,random", 200, ["*"]),
    ],
)
def test_a_sampler_brings_its_own_defaults(
    given: list[str], samplers: str, trials: int, problems: Sequence[str]
) -> None:
    found = arguments(given)
    assert (found.samplers, found.trials, found.problems) == (samplers, trials, problems)


def test_a_sampler_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--sampler", "nope"])
    assert "invalid choice: 'nope'" in capsys.readouterr().err
