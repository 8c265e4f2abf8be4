import dataclasses
from typing import get_args

import optuna
import pytest

from tpeak import pruners
from tpeak.errors import InvalidValue
from tpeak.pruners import (
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
    WilcoxonPruner,
)

WITH_OBJECTIVE = {
    "median": lambda **given: MedianPruner(**given),
    "percentile": lambda **given: PercentilePruner(25.0, **given),
    "threshold": lambda **given: ThresholdPruner(0.0, **given),
    "patient": lambda **given: PatientPruner(None, 3, **given),
    "wilcoxon": lambda **given: WilcoxonPruner(**given),
    "successive_halving": lambda **given: SuccessiveHalvingPruner(**given),
    "hyperband": lambda **given: HyperbandPruner(**given),
}

each_rule = pytest.mark.parametrize("name", WITH_OBJECTIVE)


def test_all_of_optunas_pruners_are_there():
    assert set(pruners.__all__) - {"Pruner"} == set(optuna.pruners.__all__) - {"BasePruner"}
    assert {rule.__name__ for rule in get_args(pruners.Pruner)} == set(pruners.__all__) - {"Pruner"}


@each_rule
def test_an_objective_travels_where_one_is_named(name):
    make = WITH_OBJECTIVE[name]
    assert make().name == make().wire()["name"] == name
    assert "objective" not in make().wire()
    assert make(objective=0).wire() == {**make().wire(), "objective": 0}
    assert make(objective=2).wire() == {**make().wire(), "objective": 2}


@each_rule
@pytest.mark.parametrize("objective", [-1, 0.5, "accuracy", True])
def test_an_objective_is_the_number_of_one(name, objective):
    message = f"objective must be an integer of at least 0 or None, got {objective!r}"
    with pytest.raises(InvalidValue, match=message):
        WITH_OBJECTIVE[name](objective=objective)


@each_rule
def test_settings_are_frozen(name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        WITH_OBJECTIVE[name]().objective = 1


def test_settings_out_of_range_are_value_errors():
    with pytest.raises(ValueError, match="must"):
        MedianPruner(interval_steps=0)
