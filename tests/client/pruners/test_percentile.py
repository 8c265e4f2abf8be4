import math

import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import PercentilePruner


def test_all_settings_travel():
    assert PercentilePruner(25.0).wire() == {
        "name": "percentile",
        "percentile": 25.0,
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    }


@pytest.mark.parametrize("percentile", [0, 100])
def test_the_ends_are_percentiles(percentile):
    assert PercentilePruner(percentile).wire()["percentile"] == percentile


@pytest.mark.parametrize("percentile", [-0.1, 101, math.nan])
def test_what_is_no_percentile_is_refused(percentile):
    with pytest.raises(InvalidValue, match=f"^percentile must lie within 0 .. 100, got {percentile}$"):
        PercentilePruner(percentile)


def test_counts_out_of_range_are_refused():
    with pytest.raises(InvalidValue, match=r"^interval_steps must be an integer of at least 1, got 0$"):
        PercentilePruner(25.0, interval_steps=0)
