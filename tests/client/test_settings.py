import dataclasses

import pytest

from tpeak.pruners import MedianPruner, NopPruner, PercentilePruner
from tpeak.samplers import RandomSampler, TPESampler


def test_settings_know_their_wire_form():
    assert TPESampler(seed=3).wire() == {"name": "tpe", "n_startup_trials": 10, "n_ei_candidates": 24}
    assert RandomSampler(3).wire() == {"name": "random"}
    assert NopPruner().wire() == {"name": "nop"}
    assert MedianPruner(4, 3, 2, n_min_trials=6).wire() == {
        "name": "median",
        "n_startup_trials": 4,
        "n_warmup_steps": 3,
        "interval_steps": 2,
        "n_min_trials": 6,
    }
    assert PercentilePruner(25.0).wire() == {
        "name": "percentile",
        "percentile": 25.0,
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: TPESampler(n_startup_trials=-1),
        lambda: TPESampler(n_ei_candidates=0),
        lambda: MedianPruner(n_startup_trials=-1),
        lambda: MedianPruner(n_warmup_steps=-1),
        lambda: MedianPruner(interval_steps=0),
        lambda: MedianPruner(n_min_trials=0),
        lambda: PercentilePruner(101),
    ],
)
def test_settings_out_of_range_are_value_errors(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MedianPruner().n_startup_trials = 3  # type: ignore[misc]
