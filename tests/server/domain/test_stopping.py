import math

import pytest

from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.stopping import Progress, StopWhen, from_spec


@pytest.mark.parametrize(
    ("rule", "objectives", "where"),
    [
        (StopWhen(), 1, "/stop_when"),
        (StopWhen(target=(0.5,)), 2, "/stop_when/target"),
        (StopWhen(target=(0.5, 0.5)), 1, "/stop_when/target"),
        (StopWhen(patience=3), 2, "/stop_when/patience"),
        (StopWhen(target=(0.5, 0.5), patience=3), 2, "/stop_when/patience"),
    ],
)
def test_a_rule_that_does_not_suit_the_study_is_refused(rule: StopWhen, objectives: int, where: str) -> None:
    with pytest.raises(Invalid) as refused:
        rule.check(objectives)
    assert refused.value.where == where


@pytest.mark.parametrize("rule", [StopWhen(target=(0.5, -1.0)), StopWhen(patience=3), StopWhen(target=(0.0,))])
def test_a_rule_is_read_as_it_was_written(rule: StopWhen) -> None:
    assert from_spec(rule.spec()) == rule
    assert from_spec(None) is None


def test_the_target_of_one_objective_is_reached_from_its_better_side() -> None:
    down, up = StopWhen(target=(0.25,)), StopWhen(target=(0.75,))
    assert [down.reached(down.figure([loss], [1.0]), [1.0]) for loss in (0.5, 0.25, -math.inf)] == [False, True, True]
    # Of an objective that is maximized the loss is the value with the other sign.
    assert [up.reached(up.figure([loss], [-1.0]), [-1.0]) for loss in (-0.5, -0.75, math.inf)] == [False, True, False]
    patient = StopWhen(patience=3)
    assert not patient.reached(patient.figure([-math.inf], [1.0]), [1.0])


def test_of_several_objectives_one_trial_must_reach_every_target() -> None:
    rule, signs = StopWhen(target=(1.0, 0.75)), (1.0, -1.0)
    figures = [rule.figure(losses, signs) for losses in ((0.5, -0.5), (2.0, -1.0), (1.0, -0.75), (math.inf, -1.0))]
    assert figures == [0.25, 1.0, 0.0, math.inf]
    assert [rule.reached(figure, signs) for figure in figures] == [False, False, True, False]


def test_only_a_better_figure_is_progress() -> None:
    progress = Progress()
    for figure in (math.inf, 0.5, 0.5, 0.75):
        progress = progress.told(figure)
    assert progress == Progress(best=0.5, unimproved=2)
    assert progress.told(0.25) == Progress(best=0.25, unimproved=0)


def test_what_is_added_raises_the_bar_and_uses_up_no_patience() -> None:
    progress = Progress(best=0.5, unimproved=2)
    assert progress.added(0.75) == progress
    assert progress.added(0.25) == Progress(best=0.25, unimproved=0)
