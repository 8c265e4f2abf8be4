import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from tpeak_server.pruners.signed_rank import p_value


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        # Of the 8 choices of signs, those with a sum of ranks of at least 6, 5, 3 and 0.
        ([1.0, 2.0, 3.0], 1 / 8),
        ([-1.0, 2.0, 3.0], 2 / 8),
        ([1.0, 2.0, -3.0], 5 / 8),
        ([-1.0, -2.0, -3.0], 1.0),
        # Ties: ranks 1.5, 1.5 and 3, and sums of at least 6 and 4.5.
        ([1.0, 1.0, 2.0], 1 / 8),
        ([1.0, -1.0, 2.0], 3 / 8),
        # A zero has rank 1 and counts half whatever the signs are.
        ([0.0, 1.0, 2.0], 1 / 4),
        ([0.0, 0.0], 1.0),
        # Infinite differences tie.
        ([math.inf, math.inf, 1.0], 1 / 8),
        # The normal approximation of nothing at all.
        ([0.0] * 20, 0.5),
    ],
)
def test_the_p_value_is_the_share_of_signs_that_give_as_much(differences: list[float], p: float) -> None:
    assert p_value(np.array(differences)) == p


def by_definition(differences: list[float]) -> float:
    """The p-value from all 2^n choices of signs, with the mean rank among equal sizes and zeros halved."""
    sizes = sorted(map(abs, differences))

    def rank(size: float) -> float:
        return sum(1 + i for i, other in enumerate(sizes) if other == size) / sizes.count(size)

    def total(signed: tuple[float, ...]) -> float:
        return sum(rank(abs(d)) * (1.0 if d > 0 else 0.5 if d == 0 else 0.0) for d in signed)

    choices = list(itertools.product(*((abs(d), -abs(d)) for d in differences)))
    return sum(total(signed) >= total(tuple(differences)) for signed in choices) / len(choices)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-9.0, 9.0)), min_size=1, max_size=7))
def test_the_p_value_is_that_of_the_definition(differences: list[float]) -> None:
    assert p_value(np.array(differences)) == by_definition(differences)


@pytest.mark.parametrize("n", [2, 7, 13, 14, 30, 49, 50, 51, 60, 100, 300])
@pytest.mark.parametrize("kind", ["distinct", "tied", "zero"])
def test_the_p_value_is_scipys_on_either_side_of_its_changes_of_method(n: int, kind: str) -> None:
    if kind != "distinct" and n == 13:
        # Scipy takes seconds for 13 that tie; 9 take the same path there.
        n = 9
    rng = np.random.default_rng(n)
    for shift in (-1.0, 0.0, 0.2, 1.0):
        differences = rng.normal(shift, 1.0, size=n)
        if kind == "tied":
            differences = np.round(differences * 3.0)
        elif kind == "zero":
            differences[0] = 0.0
        theirs = wilcoxon(differences, alternative="greater", zero_method="zsplit").pvalue
        assert p_value(differences) == pytest.approx(theirs, rel=0.0, abs=1e-9)
