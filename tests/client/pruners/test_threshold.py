import math

import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import ThresholdPruner


def test_all_settings_travel():
    assert ThresholdPruner(upper=1.5).wire() == {
        "name": "threshold",
        "lower": None,
        "upper": 1.5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
    }
    assert ThresholdPruner(-1.0, 2.0, 3, 4, objective=1).wire() == {
        "name": "threshold",
        "lower": -1.0,
        "upper": 2.0,
        "n_warmup_steps": 3,
        "interval_steps": 4,
        "objective": 1,
    }


def test_bounds_become_floats_as_with_optuna():
    assert [type(bound) for bound in (ThresholdPruner(0, "1").lower, ThresholdPruner(0, "1").upper)] == [float, float]
    assert ThresholdPruner(0, "1") == ThresholdPruner(0.0, 1.0)


def test_both_bounds_may_be_the_same():
    assert ThresholdPruner(1.0, 1.0).lower == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "lower or upper must be given; the NopPruner is the rule without bounds"),
        ({"lower": 2.0, "upper": 1.0}, "lower must be at most upper, got lower=2.0 and upper=1.0"),
        ({"lower": math.nan}, "lower must be a finite number, or None for no bound, got nan"),
        ({"lower": -math.inf, "upper": 1.0}, "lower must be a finite number, or None for no bound, got -inf"),
        ({"upper": "high"}, "upper must be a finite number, or None for no bound, got 'high'"),
        ({"upper": [1.0]}, r"upper must be a finite number, or None for no bound, got \[1.0\]"),
        ({"lower": 0.0, "n_warmup_steps": -1}, "n_warmup_steps must be an integer of at least 0, got -1"),
        ({"lower": 0.0, "interval_steps": 0}, "interval_steps must be an integer of at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidValue, match=f"^{message}$"):
        ThresholdPruner(**given)
