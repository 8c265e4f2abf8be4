import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tpeak_server.domain.observations import Outcome, Reports, View
from tpeak_server.samplers.gp.extrapolation import extrapolated

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

Views = Callable[..., View]
Curves = Sequence[Mapping[int, float]]


@pytest.fixture
def seen(view_of: Views) -> Callable[[Curves, Sequence[float | None]], View]:
    """A view of curves with their final losses, None of the pruned ones."""

    def seen(curves: Curves, final: Sequence[float | None]) -> View:
        view = view_of(
            {},
            [math.nan if loss is None else loss for loss in final],
            outcome=[Outcome.PRUNED if loss is None else Outcome.COMPLETE for loss in final],
            last_step=[max(curve, default=-1) for curve in curves],
            last_loss=[curve[max(curve)] if curve else math.nan for curve in curves],
        )
        rows = [sorted(curve.items()) for curve in curves]
        reports = Reports(
            starts=np.cumsum([0, *map(len, rows)]),
            steps=np.array([step for row in rows for step, _ in row], dtype=np.int64),
            losses=np.array([loss for row in rows for _, loss in row]),
        )
        return replace(view, reports=reports)

    return seen


Seen = Callable[[Curves, Sequence[float | None]], View]


def test_a_pruned_trial_is_expected_to_end_where_the_others_went_from_there(seen: Seen) -> None:
    # 99 trials end at 2 x + 1, which one more that would end at x + their mean rise turns into a slope of 1.99.
    here = np.linspace(0.0, 2.0, 99).tolist()
    view = extrapolated(seen([*({1: x} for x in here), {1: 3.0}], [*(2 * x + 1 for x in here), None]))
    assert view.outcome[99] == Outcome.COMPLETE
    assert view.loss[99, 0] == pytest.approx(3.0 + 1.99 * (3.0 - 1.0))


def test_from_rung_to_rung_each_line_is_that_of_the_trials_which_went_on(seen: Seen) -> None:
    curves = [{1: 1.0, 3: 2.0}, {1: 1.0, 3: 4.0}, {1: 1.0, 3: 6.0}, {1: 1.0, 3: 8.0}, {1: 5.0}]
    view = extrapolated(seen(curves, [5.0, 7.0, None, None, None]))
    # From step 3 on to the end one gains 3; whoever was at 1 at step 1 was at 5 at step 3.
    assert view.loss[:, 0].tolist() == pytest.approx([5.0, 7.0, 9.0, 11.0, 5.0 + 4.0 + 3.0])


def test_that_only_the_best_go_on_does_not_lead_astray(seen: Seen) -> None:
    rng = np.random.default_rng(0)
    there = rng.normal(size=(3, 6000)).cumsum(axis=0)
    second = np.sort(there[0])[1999]
    third = np.sort(there[1][there[0] <= second])[666]
    first, to_third = there[0] <= second, (there[0] <= second) & (there[1] <= third)
    curves = [{1: a, 2: b} if goes else {1: a} for a, b, goes in zip(*there[:2].tolist(), first, strict=True)]
    final = [c if goes else None for c, goes in zip(there[2].tolist(), to_third, strict=True)]
    off = extrapolated(seen(curves, final)).loss[:, 0] - there[2]
    # What is left is the noise of the two steps to come.
    assert abs(off[~first].mean()) < 0.25
    assert off[~first].std() == pytest.approx(math.sqrt(2.0), abs=0.1)


def test_a_stage_that_nobody_has_passed_is_taken_to_be_the_end(seen: Seen) -> None:
    view = extrapolated(seen([{1: 4.0}, {1: 2.0}], [None, None]))
    assert view.loss[:, 0].tolist() == [4.0, 2.0]
    assert view.outcome.tolist() == [Outcome.COMPLETE] * 2


def test_what_a_trial_had_at_a_stage_is_its_last_report_up_to_it(seen: Seen) -> None:
    curves = [{1: 9.0, 4: 1.0, 9: 0.0}, {4: 2.0, 6: 9.0, 9: 0.0}, {5: 3.0}]
    view = extrapolated(seen(curves, [11.0, 12.0, None]))
    assert view.loss[2, 0] == pytest.approx(13.0)


@pytest.mark.parametrize("last", [math.nan, math.inf, -math.inf, 1e200])
def test_a_trial_without_a_report_that_is_a_loss_remains_pruned(seen: Seen, last: float) -> None:
    view = extrapolated(seen([{1: 1.0}, {1: 1.5}, {1: last}, {}], [1.0, None, None, None]))
    assert view.outcome.tolist() == [Outcome.COMPLETE] * 2 + [Outcome.PRUNED] * 2
    assert np.isnan(view.loss[2:, 0]).all()


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e308, 5e-324])
def test_wild_curves_of_others_leave_finite_losses(seen: Seen, wild: float) -> None:
    curves = [{1: 0.0, 2: wild}, {1: wild, 2: 1.0}, {1: 1.0, 2: 2.0}, {1: 2.0}, {1: 3.0, 2: 3.0}]
    view = extrapolated(seen(curves, [0.0, 1.0, wild, None, None]))
    assert np.isfinite(view.loss[3:, 0]).all()


def test_many_steps_are_gathered_in_stages(seen: Seen) -> None:
    curves = [{step: float(step) for step in range(1, 301)}, *({step: 1.0} for step in range(1, 301))]
    view = extrapolated(seen(curves, [300.0, *[None] * 300]))
    assert np.isfinite(view.loss).all()
    # Who was at 1 after the first step is as good as the one that got to 300; after the 200th it is better.
    assert view.loss[1, 0] > view.loss[200, 0] > view.loss[300, 0]


def test_where_none_was_pruned_or_nothing_is_known_of_reports_all_is_as_it_was(seen: Seen) -> None:
    complete = seen([{1: 1.0}], [1.0])
    unknown = replace(seen([{1: 1.0}], [None]), reports=None)
    assert extrapolated(complete) is complete
    assert extrapolated(unknown) is unknown
