import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import MedianPruner


def test_all_settings_travel():
    assert MedianPruner().wire() == {
        "name": "median",
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    }
    assert MedianPruner(4, 3, 2, n_min_trials=6, objective=1).wire() == {
        "name": "median",
        "n_startup_trials": 4,
        "n_warmup_steps": 3,
        "interval_steps": 2,
        "n_min_trials": 6,
        "objective": 1,
    }


@pytest.mark.parametrize(
    ("setting", "value", "least"),
    [
        ("n_startup_trials", -1, 0),
        ("n_warmup_steps", -1, 0),
        ("interval_steps", 0, 1),
        ("n_min_trials", 0, 1),
        ("n_min_trials", 2.0, 1),
        ("n_startup_trials", "5", 0),
    ],
)
def test_counts_out_of_range_are_refused(setting, value, least):
    with pytest.raises(InvalidValue, match=f"^{setting} must be an integer of at least {least}, got {value!r}$"):
        MedianPruner(**{setting: value})
