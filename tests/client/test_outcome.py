import math

import numpy as np
import pytest

from tpeak.errors import InvalidValue
from tpeak.outcome import describe, judge
from tpeak.states import TrialState


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), [0.5], (0.5,), "0.5", np.array(0.5)])
def test_what_can_be_cast_is_a_complete_trials_value(value):
    outcome = judge(value, None, 1)
    assert (outcome.state, outcome.values, outcome.cause) == (TrialState.COMPLETE, [0.5], None)


@pytest.mark.parametrize(
    ("value", "objectives", "cause"),
    [
        (None, 1, "the value None is not a number"),
        ("much", 1, "the value 'much' is not a number"),
        (math.nan, 1, "the value is NaN"),
        ([0.5, math.nan], 2, "the value is NaN"),
        ([0.5, 0.6], 1, r"2 value\(s\) came for 1 objective\(s\)"),
        (0.5, 2, r"1 value\(s\) came for 2 objective\(s\)"),
    ],
)
def test_what_is_no_result_fails_the_trial_with_its_cause(value, objectives, cause):
    outcome = judge(value, None, objectives)
    assert (outcome.state, outcome.values) == (TrialState.FAILED, None)
    with pytest.raises(InvalidValue, match=cause):
        judge(value, TrialState.COMPLETE, objectives)


def test_infinities_are_results():
    assert judge(-math.inf, None, 1).wire() == {"state": "complete", "values": ["-Infinity"]}


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAIL])
def test_pruned_and_failed_trials_take_no_values(state):
    assert judge(None, state, 1).state == state
    with pytest.raises(ValueError, match="takes no values"):
        judge(0.5, state, 1)


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.WAITING, TrialState.LOST])
def test_other_states_cannot_be_told(state):
    with pytest.raises(ValueError, match="cannot be told"):
        judge(None, state, 1)


def failure(message):
    def objective():
        raise RuntimeError(message)

    try:
        objective()
    except RuntimeError as error:
        return describe(error)


def test_a_cause_begins_with_type_and_message_and_ends_where_it_happened():
    lines = failure("out of memory").splitlines()
    assert lines[0] == "RuntimeError: out of memory"
    assert lines[-1].strip().startswith("raise RuntimeError(message)") or set(lines[-1].strip()) == {"^"}


def test_a_cause_is_bounded():
    assert failure("x" * 9000) == "RuntimeError: " + "x" * (8000 - len("RuntimeError: "))


def test_a_cause_is_text_that_the_server_takes():
    assert failure("a\0b\ud800").startswith("RuntimeError: a\\0b\\ud800")
