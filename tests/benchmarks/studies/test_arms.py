"""Arms as the command line has them."""

from __future__ import annotations

import pytest

from studies.arms import Arm, parse_arms
from studies.cells import Sampler, Spec


def test_an_arm_is_a_sampler_and_a_pruner_with_their_settings() -> None:
    assert parse_arms('random,tpe:{"n_startup_trials":5}+hyperband:{"min_resource":1,"reduction_factor":4}') == [
        Arm(sampler=Sampler(name="random"), pruner=Spec(name="nop")),
        Arm(
            sampler=Sampler(name="tpe", settings={"n_startup_trials": 5}),
            pruner=Spec(name="hyperband", settings={"min_resource": 1, "reduction_factor": 4}),
        ),
    ]


def test_the_label_is_what_was_parsed() -> None:
    text = 'random+nop,auto+hyperband:{"reduction_factor":4},optuna5+median'
    assert ",".join(arm.label for arm in parse_arms(text)) == text


def test_a_grid_has_no_conditional_parameters() -> None:
    assert [arm.conditional for arm in parse_arms("grid,auto")] == [False, True]


def test_two_pruners_are_refused() -> None:
    with pytest.raises(ValueError, match="more than one pruner"):
        parse_arms("tpe+median+nop")
