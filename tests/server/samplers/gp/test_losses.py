import math
from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.observations import Outcome, View
from tpeak_server.samplers.gp.losses import excess, shaped, violated

pytestmark = pytest.mark.filterwarnings("error")

Views = Callable[..., View]


def test_losses_have_mean_0_and_deviation_1_in_their_order(view_of: Views) -> None:
    found = shaped(view_of({}, [3.0, 1.0, 2.0, 2.5])).losses
    assert found.mean() == pytest.approx(0.0, abs=1e-12)
    assert found.std() == pytest.approx(1.0)
    assert np.argsort(found).tolist() == [1, 2, 3, 0]


def test_what_is_as_far_above_the_median_as_the_least_is_below_is_cut(view_of: Views) -> None:
    found = shaped(view_of({}, [0.0, 1.0, 2.0, 3.0, 4.0, 1e6, 1e9])).losses
    assert found[4] < found[5] == found[6]
    assert found[3] - found[0] == pytest.approx(found[5] - found[3])


def test_a_gain_of_three_thousandths_of_what_the_first_trials_are_away_from_the_best_is_worth_a_trial(
    view_of: Views,
) -> None:
    found = shaped(view_of({}, [9.0, 10.0, 11.0, *[50.0] * 3, *[4.0] * 4, *[0.0, 20.0] * 10]))
    # The median of the first ten is 9.5, that of all is 10.5 and cuts at 21.
    unit = (found.losses[0] - found.losses.min()) / 9.0
    assert found.worthwhile == pytest.approx(0.003 * 9.5 * unit)


def test_where_most_trials_are_next_to_the_best_one_what_is_not_worth_a_trial_is_cut(view_of: Views) -> None:
    found = shaped(view_of({}, [10.0] * 10 + [1e-9, 0.0] * 20))
    assert found.losses[0] - found.losses.min() == pytest.approx(found.worthwhile)
    assert found.losses[10] == pytest.approx(found.losses.min(), abs=1e-6)


def test_bad_ends_are_as_bad_as_the_worst(view_of: Views) -> None:
    outcome = [Outcome.COMPLETE] * 4 + [Outcome.PRUNED, Outcome.LOST, Outcome.COMPLETE]
    violation = [0.0, 0, 0, 0, 0, math.inf, 2.0]
    losses = [1.0, 2.0, math.nan, math.inf, math.nan, math.nan, -5.0]
    found = shaped(view_of({}, losses, outcome=outcome, violation=violation)).losses
    assert found[0] == found.min()
    assert set(found[1:].tolist()) == {found.max()}


@pytest.mark.parametrize("losses", [[2.0] * 5, [math.nan] * 5, [math.inf] * 5])
def test_where_all_are_alike_nothing_is_told(view_of: Views, losses: list[float]) -> None:
    found = shaped(view_of({}, losses))
    assert found.losses.tolist() == [0.0] * 5
    assert found.worthwhile == 0.0


def test_the_largest_floats_do_not_overflow(view_of: Views) -> None:
    found = shaped(view_of({}, [-1.7e308, 0.0, 1.7e308])).losses
    assert found == pytest.approx([-1.2247, 0.0, 1.2247], abs=1e-4)


def test_each_objective_has_its_own_losses(view_of: Views) -> None:
    view = view_of({}, [[1.0, 9.0], [2.0, 8.0], [3.0, 7.0]])
    assert np.argsort(shaped(view, 0).losses).tolist() == [0, 1, 2]
    assert np.argsort(shaped(view, 1).losses).tolist() == [2, 1, 0]


def test_trials_are_on_either_side_of_their_constraints(view_of: Views) -> None:
    view = view_of({}, [1.0] * 5, violation=[0.0, 0.1, math.inf, 3.0, 0.0])
    assert violated(view).tolist() == [-1.0, 0.6, 1.0, 0.8, -1.0]


def test_what_exceeds_the_constraints_is_ordered_and_the_lost_are_the_worst(view_of: Views) -> None:
    found = excess(view_of({}, [1.0] * 4, violation=[2.0, 1.0, math.inf, 1.5])).losses
    assert np.argsort(found, kind="stable").tolist() == [1, 3, 0, 2]
    assert found[2] == found[0]


def test_any_step_towards_feasible_points_is_worth_a_trial(view_of: Views) -> None:
    assert excess(view_of({}, [1.0] * 4, violation=[2.0, 1.0, math.inf, 1.5])).worthwhile == 0.0
