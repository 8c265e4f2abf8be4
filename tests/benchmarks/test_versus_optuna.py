"""The comparison with Optuna's storages."""

from __future__ import annotations

import pytest

import versus_optuna
from versus_optuna import rotated


def test_every_arm_is_first_middle_and_last_once_in_three_runs() -> None:
    orders = [rotated(["tpeak", "rdb", "grpc"], run) for run in range(4)]
    assert orders[0] == orders[3] == ["tpeak", "rdb", "grpc"]
    assert orders[1:3] == [["rdb", "grpc", "tpeak"], ["grpc", "tpeak", "rdb"]]


def test_what_is_not_installed_is_said_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(versus_optuna, "NEEDED", ("json", "no_such_module", "no_such_package.below"))
    monkeypatch.setattr("sys.argv", ["versus_optuna.py"])
    assert versus_optuna.main() == 2
    said = capsys.readouterr().err
    assert "needs no_such_module, no_such_package.below; install it with: pip install" in said
