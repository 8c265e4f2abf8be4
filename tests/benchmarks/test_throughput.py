"""What the command is to measure."""

from __future__ import annotations

import pytest

from throughput import arguments


@pytest.mark.parametrize(
    ("given", "runs", "trials", "workers"),
    [
        ([], 3, (1_000,), (16,)),
        (["--all"], 3, (1_000, 10_000, 100_000), (1, 16, 128, 1_000)),
        (["--short"], 1, (1_000, 10_000), (16,)),
        (["--overload", "--runs", "5"], 5, (1_000,), (16,)),
        (["--all", "--trials", "50", "60", "--workers", "2"], 3, [50, 60], [2]),
    ],
)
def test_each_form_has_its_sizes(given: list[str], runs: int, trials: list[int], workers: list[int]) -> None:
    found = arguments(given)
    assert (found.runs, found.trials, found.workers) == (runs, trials, workers)


def test_two_forms_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--all", "--short"])
    assert "not allowed with" in capsys.readouterr().err
