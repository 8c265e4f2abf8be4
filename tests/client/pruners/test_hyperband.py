import math

import numpy as np
import pytest

from tpeak.errors import InvalidValue
from tpeak.pruners import HyperbandPruner
from tpeak.wire import encode


def test_all_settings_travel():
    assert HyperbandPruner().wire() == {
        "name": "hyperband",
        "min_resource": 1,
        "max_resource": "auto",
        "reduction_factor": 3,
        "bootstrap_count": 0,
    }
    assert HyperbandPruner(2, 81, 4, 5, objective=0).wire() == {
        "name": "hyperband",
        "min_resource": 2,
        "max_resource": 81,
        "reduction_factor": 4,
        "bootstrap_count": 5,
        "objective": 0,
    }


def test_numpys_integers_are_integers():
    assert b'"max_resource":81,' in encode(HyperbandPruner(max_resource=np.int64(81)).wire())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_resource": 0}, "min_resource must be an integer of at least 1, got 0"),
        ({"min_resource": "auto"}, "min_resource must be an integer of at least 1, got 'auto'"),
        ({"max_resource": 0}, "max_resource must be an integer of at least 1 or 'auto', got 0"),
        ({"max_resource": "most"}, "max_resource must be an integer of at least 1 or 'auto', got 'most'"),
        ({"reduction_factor": 1}, "reduction_factor must be an integer of at least 2, got 1"),
        ({"max_resource": 81, "bootstrap_count": -1}, "bootstrap_count must be an integer of at least 0, got -1"),
        ({"bootstrap_count": 1}, "max_resource must be an integer with a bootstrap_count above 0, got 'auto'"),
    ],
)
def test_settings_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidValue, match=f"^{message}$"):
        HyperbandPruner(**given)


def test_resources_may_be_costs():
    assert "resource" not in HyperbandPruner().wire()
    assert "resource" not in HyperbandPruner(resource="step").wire()
    assert HyperbandPruner(resource="cost").wire() == {**HyperbandPruner().wire(), "resource": "cost"}
    assert HyperbandPruner(max_resource=0.25, resource="cost").wire()["max_resource"] == 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_resource": 0}, "max_resource must be a number above 0 or 'auto', got 0"),
        ({"max_resource": math.inf}, "max_resource must be a number above 0 or 'auto', got inf"),
        ({"max_resource": math.nan}, "max_resource must be a number above 0 or 'auto', got nan"),
        ({"max_resource": "3"}, "max_resource must be a number above 0 or 'auto', got '3'"),
        ({"max_resource": None}, "max_resource must be a number above 0 or 'auto', got None"),
        ({"min_resource": "auto"}, "min_resource must be a number above 0, got 'auto'"),
        ({"bootstrap_count": 1}, "max_resource must be a number with a bootstrap_count above 0, got 'auto'"),
        ({"resource": "seconds"}, "resource must be 'step' or 'cost', got 'seconds'"),
    ],
)
def test_resources_in_cost_out_of_range_are_refused(given, message):
    with pytest.raises(InvalidValue, match=f"^{message}$"):
        HyperbandPruner(**{"resource": "cost", **given})
