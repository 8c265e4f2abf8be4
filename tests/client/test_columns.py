"""Trials out of columns."""

import copy
import json
import math
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from tpeak import FrozenTrial, TrialState
from tpeak.columns import Page
from tpeak.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

X = {"type": "float", "low": -1.0, "high": 1.0}


@pytest.fixture
def read(columns_of):
    """The trials of a line with these columns."""
    return lambda numbers, **columns: Page(json.loads(columns_of(numbers, None, **columns))).trials()


def test_a_column_is_of_all_trials_or_of_those_at_its_places(read, packed_numbers):
    params = [
        {"name": "x", "distribution": X, "values": packed_numbers("d", -0.0, 0.1, 1e-300)},
        {"name": "y", "distribution": X, "at": packed_numbers("i", 2), "values": packed_numbers("d", 0.25)},
    ]
    trials = read([3, 5, 70000], params=params)
    assert repr([trial.params for trial in trials]) == "[{'x': -0.0}, {'x': 0.1}, {'x': 1e-300, 'y': 0.25}]"
    assert trials[2].distributions == {"x": FloatDistribution(-1.0, 1.0), "y": FloatDistribution(-1.0, 1.0)}
    assert [list(trial.distributions) for trial in trials] == [["x"], ["x"], ["x", "y"]]


def test_a_parameter_may_have_had_several_distributions(read, packed_numbers):
    params = [
        {"name": "x", "distribution": X, "at": packed_numbers("i", 1), "values": packed_numbers("d", 0.5)},
        {
            "name": "x",
            "distribution": {"type": "int", "low": 1, "high": 8},
            "at": packed_numbers("i", 0),
            "values": packed_numbers("d", 3.0),
        },
    ]
    first, second = read([0, 1], params=params)
    assert (repr(first.params), first.distributions) == ("{'x': 3}", {"x": IntDistribution(1, 8)})
    assert (repr(second.params), second.distributions) == ("{'x': 0.5}", {"x": FloatDistribution(-1.0, 1.0)})


def test_choices_come_by_their_index(read, packed_numbers):
    spec = {"type": "categorical", "choices": [None, 1, True, "a"]}
    trials = read([0, 1], params=[{"name": "c", "distribution": spec, "values": packed_numbers("d", 2.0, 0.0)}])
    assert [trial.params["c"] for trial in trials] == [True, None]
    assert trials[0].distributions["c"] == CategoricalDistribution([None, 1, True, "a"])


def test_states_and_origins_are_words(read, packed_numbers):
    states = {"words": ["pruned", "waiting"], "index": packed_numbers("i", 1, 0)}
    first, second = read([0, 1], state=states)
    assert (first.state, second.state) == (TrialState.WAITING, TrialState.PRUNED)
    assert (first.origin, second.origin) == ("tpe", "tpe")


def test_values_of_several_objectives_come_together(read, packed_numbers):
    values = {"at": packed_numbers("i", 1), "values": [packed_numbers("d", math.inf), packed_numbers("d", 2.0)]}
    first, second = read([0, 1], values=[values])
    assert (first.values, second.values) == (None, [math.inf, 2.0])


def test_reports_are_by_step(read, packed_numbers):
    curves = {
        "at": packed_numbers("i", 0, 0, 1),
        "step": packed_numbers("q", -1, 2**53, 7),
        "values": [packed_numbers("d", 0.5, 0.25, 1.0)],
        "cost": packed_numbers("d", math.nan, 1.5, math.nan),
    }
    first, second, third = read([0, 1, 2], reports=[curves])
    assert first.intermediate_values == {-1: 0.5, 9007199254740992: 0.25}
    assert [trial.intermediate_costs for trial in (first, second, third)] == [{9007199254740992: 1.5}, {}, {}]
    assert (second.intermediate_values, third.intermediate_values) == ({7: 1.0}, {})


def test_times_are_utc_to_the_microsecond(read, packed_numbers):
    moment = 1_795_521_601_500_001
    finished = {"at": packed_numbers("i", 1), "us": packed_numbers("q", moment)}
    first, second = read([0, 1], finished_at=finished)
    assert (first.datetime_complete, first.duration) == (None, None)
    assert second.datetime_complete == datetime(2026, 11, 24, 12, 0, 1, 500_001, tzinfo=UTC)
    assert first.datetime_start == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=1.5)


def test_what_is_rare_comes_with_its_place(read):
    first, second = read(
        [0, 1],
        attempt=[[1, 2]],
        cause=[[1, "it fell silent"]],
        fixed=[[1, {"x": 1}]],
        exempt=[[1, True]],
        user_attrs=[[1, {"a": [1]}]],
        constraints=[[0, [0.5, "NaN"]], [1, [-1.0]]],
        constraint_names=[[1, ["memory"]]],
    )
    assert (first.attempt, first.cause, first.fixed, first.exempt, first.user_attrs) == (0, None, {}, False, {})
    assert (second.attempt, second.cause, second.fixed, second.exempt) == (2, "it fell silent", {"x": 1}, True)
    assert (second.user_attrs, second.constraints) == ({"a": [1]}, {"memory": -1.0})
    assert repr(first.constraints) == "{'0': 0.5, '1': nan}"


def test_trials_are_like_any_others(read):
    (trial,) = read([7], user_attrs=[[0, {"a": 1}]])
    same = FrozenTrial(
        number=7,
        state=TrialState.COMPLETE,
        values=[0.5],
        user_attrs={"a": 1},
        origin="tpe",
        datetime_start=datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC),
        datetime_complete=datetime(1970, 1, 1, 0, 1, 1, 500_000, tzinfo=UTC),
    )
    assert trial == same
    assert repr(trial) == repr(same)
    with pytest.raises(AttributeError, match="no attribute 'valeus'"):
        trial.valeus  # noqa: B018


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda trial: pickle.loads(pickle.dumps(trial))])
def test_a_copy_has_all_that_the_trial_has_and_not_the_others_columns(read, again):
    trial, _ = read([7, 8], user_attrs=[[0, {"a": 1}]])
    trial.set_user_attr("b", 2)
    made = again(trial)
    assert (made, made.user_attrs, made.value) == (trial, {"a": 1, "b": 2}, 0.5)
    assert "_source" not in vars(made)


def test_what_is_changed_in_one_trial_stays_there(read, packed_numbers):
    first, second = read([0, 1], params=[{"name": "x", "distribution": X, "values": packed_numbers("d", 0.5, 0.5)}])
    first.params["x"] = 0.25
    first.distributions.clear()
    first.set_user_attr("a", 1)
    first.set_constraint("c", 1.0)
    first.intermediate_values[0] = 1.0
    first.values[0] = 9.0
    first.cause = "edited"
    assert (first.params, first.value, first.cause) == ({"x": 0.25}, 9.0, "edited")
    assert (second.params, second.value, second.cause) == ({"x": 0.5}, 0.5, None)
    assert (second.user_attrs, second.constraints, second.intermediate_values) == ({}, {}, {})
    assert list(second.distributions) == ["x"]
