import math

import pytest

import tpeak
from tpeak.errors import InvalidValue


def test_only_what_is_given_travels() -> None:
    assert tpeak.StopWhen(target=1).wire() == {"target": [1.0]}
    assert tpeak.StopWhen(target=[0.5, -1.0]).wire() == {"target": [0.5, -1.0]}
    assert tpeak.StopWhen(patience=20).wire() == {"patience": 20}


@pytest.mark.parametrize("arguments", [{}, {"patience": 0}, {"target": math.nan}, {"target": [0.5, math.inf]}])
def test_a_rule_that_cannot_be_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        tpeak.StopWhen(**arguments)  # type: ignore[arg-type]
