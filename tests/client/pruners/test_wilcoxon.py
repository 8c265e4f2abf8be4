import math

import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import WilcoxonPruner


def test_all_settings_travel():
    assert WilcoxonPruner().wire() == {"name": "wilcoxon", "p_threshold": 0.1, "n_startup_steps": 2}
    assert WilcoxonPruner(p_threshold=1.0, n_startup_steps=0, objective=1).wire() == {
        "name": "wilcoxon",
        "p_threshold": 1.0,
        "n_startup_steps": 0,
        "objective": 1,
    }


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(InvalidValue, match=f"^p_threshold must lie within 0 .. 1, got {p}$"):
        WilcoxonPruner(p_threshold=p)


def test_fewer_than_no_steps_are_refused():
    with pytest.raises(InvalidValue, match=r"^n_startup_steps must be an integer of at least 0, got -1$"):
        WilcoxonPruner(n_startup_steps=-1)
