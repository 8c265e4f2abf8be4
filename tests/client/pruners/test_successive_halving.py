import math

import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import SuccessiveHalvingPruner


def test_all_settings_travel():
    assert SuccessiveHalvingPruner().wire() == {
        "name": "successive_halving",
        "min_resource": "auto",
        "reduction_factor": 4,
        "min_early_stopping_rate": 0,
        "bootstrap_count": 0,
    }
    assert SuccessiveHalvingPruner(1, 2, 3, 5, objective=1).wire() == {
        "name": "successive_halving",
        "min_resource": 1,
        "reduction_factor": 2,
        "min_early_stopping_rate": 3,
        "bootstrap_count": 5,
        "objective": 1,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_resource": 0}, "min_resource must be an integer of at least 1 or 'auto', got 0"),
        ({"min_resource": "3"}, "min_resource must be an integer of at least 1 or 'auto', got '3'"),
        ({"min_resource": 1.5}, "min_resource must be an integer of at least 1 or 'auto', got 1.5"),
        ({"reduction_factor": 1}, "reduction_factor must be an integer of at least 2, got 1"),
        ({"min_early_stopping_rate": -1}, "min_early_stopping_rate must be an integer of at least 0, got -1"),
        ({"min_resource": 1, "bootstrap_count": -1}, "bootstrap_count must be an integer of at least 0, got -1"),
        ({"bootstrap_count": 1}, "min_resource must be an integer with a bootstrap_count above 0, got 'auto'"),
    ],
)
def test_settings_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidValue, match=f"^{message}$"):
        SuccessiveHalvingPruner(**given)


def test_resources_may_be_costs():
    assert "resource" not in SuccessiveHalvingPruner().wire()
    assert "resource" not in SuccessiveHalvingPruner(resource="step").wire()
    assert SuccessiveHalvingPruner(resource="cost").wire() == {**SuccessiveHalvingPruner().wire(), "resource": "cost"}
    assert SuccessiveHalvingPruner(min_resource=0.25, resource="cost").wire()["min_resource"] == 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_resource": 0}, "min_resource must be a number above 0 or 'auto', got 0"),
        ({"min_resource": math.inf}, "min_resource must be a number above 0 or 'auto', got inf"),
        ({"min_resource": math.nan}, "min_resource must be a number above 0 or 'auto', got nan"),
        ({"min_resource": "3"}, "min_resource must be a number above 0 or 'auto', got '3'"),
        ({"min_resource": None}, "min_resource must be a number above 0 or 'auto', got None"),
        ({"bootstrap_count": 1}, "min_resource must be a number with a bootstrap_count above 0, got 'auto'"),
        ({"resource": "seconds"}, "resource must be 'step' or 'cost', got 'seconds'"),
    ],
)
def test_resources_in_cost_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidValue, match=f"^{message}$"):
        SuccessiveHalvingPruner(**{"resource": "cost", **given})
