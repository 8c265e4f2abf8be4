import math

import optuna
import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import MedianPruner, NopPruner, PatientPruner, ThresholdPruner
from tpeak.samplers import RandomSampler


def test_all_settings_travel():
    assert PatientPruner(None, 3).wire() == {
        "name": "patient",
        "wrapped_pruner": None,
        "patience": 3,
        "min_delta": 0.0,
    }


def test_the_wrapped_rule_travels_in_its_own_form():
    wrapped = MedianPruner(n_startup_trials=2)
    assert PatientPruner(wrapped, patience=0, min_delta=0.01, objective=1).wire() == {
        "name": "patient",
        "wrapped_pruner": {
            "name": "median",
            "n_startup_trials": 2,
            "n_warmup_steps": 0,
            "interval_steps": 1,
            "n_min_trials": 1,
        },
        "patience": 0,
        "min_delta": 0.01,
        "objective": 1,
    }
    assert PatientPruner(PatientPruner(NopPruner(), 1), 2).wire()["wrapped_pruner"] == {
        "name": "patient",
        "wrapped_pruner": {"name": "nop"},
        "patience": 1,
        "min_delta": 0.0,
    }


def test_the_objective_is_for_both_rules():
    message = "^wrapped_pruner must have no objective: give it to the PatientPruner, for both$"
    for wrapped in (ThresholdPruner(0.0, objective=0), PatientPruner(None, 1, objective=1)):
        with pytest.raises(InvalidValue, match=message):
            PatientPruner(wrapped, 3)


@pytest.mark.parametrize("wrapped", ["median", MedianPruner, RandomSampler(), optuna.pruners.MedianPruner()])
def test_only_settings_of_a_rule_can_be_wrapped(wrapped):
    with pytest.raises(InvalidValue, match=r"^wrapped_pruner must be one of tpeak\.pruners or None, got "):
        PatientPruner(wrapped, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"patience": -1}, "patience must be an integer of at least 0, got -1"),
        ({"patience": 3, "min_delta": -0.1}, "min_delta must be finite and at least 0, got -0.1"),
        ({"patience": 3, "min_delta": math.nan}, "min_delta must be finite and at least 0, got nan"),
        ({"patience": 3, "min_delta": math.inf}, "min_delta must be finite and at least 0, got inf"),
    ],
)
def test_settings_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidValue, match=f"^{message}$"):
        PatientPruner(None, **given)
