import math
from datetime import UTC, datetime, timedelta

import pytest

from tpeak import FrozenTrial, TrialState, create_trial
from tpeak.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from tpeak.frozen import from_wire, to_wire

WIRE = {
    "number": 12,
    "state": "complete",
    "values": [0.97],
    "params": {"lr": 1, "layers": 3.0, "opt": "adam"},
    "distributions": {
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "layers": {"type": "int", "low": 1, "high": 8},
        "opt": {"type": "categorical", "choices": ["adam", "sgd"]},
    },
    "reports": [{"step": 0, "values": [0.5]}, {"step": 3, "values": ["NaN"]}],
    "user_attrs": {"a": 1},
    "constraints": None,
    "origin": "tpe",
    "epoch": 2,
    "attempt": 1,
    "cause": None,
    "worker": "host-1234-ab12",
    "created_at": "2026-11-24T12:00:00.000000Z",
    "started_at": "2026-11-24T12:00:01.500000Z",
    "finished_at": "2026-11-24T12:01:01.500000Z",
}


def test_a_trial_is_read_from_the_wire_in_its_parameters_types():
    trial = from_wire(WIRE)
    assert trial.params == {"lr": 1.0, "layers": 3, "opt": "adam"}
    assert [type(value) for value in trial.params.values()] == [float, int, str]
    assert trial.distributions["lr"] == FloatDistribution(1e-5, 1.0, log=True)
    assert (trial.number, trial.state, trial.value, trial.origin, trial.attempt) == (
        12,
        TrialState.COMPLETE,
        0.97,
        "tpe",
        1,
    )
    assert trial.intermediate_values[0] == 0.5
    assert math.isnan(trial.intermediate_values[3])
    assert trial.last_step == 3
    assert trial.datetime_start == datetime(2026, 11, 24, 12, 0, 1, 500_000, tzinfo=UTC)
    assert trial.duration == timedelta(seconds=60)


def test_a_waiting_trial_has_neither_times_nor_values():
    trial = from_wire(
        WIRE
        | {"state": "waiting", "values": None, "started_at": None, "finished_at": None, "fixed": {"x": 5}}
        | {"params": {}, "distributions": {}, "reports": []}
    )
    assert (trial.value, trial.values, trial.duration, trial.last_step) == (None, None, None, None)
    assert trial.fixed == {"x": 5}
    assert not trial.state.is_finished()


@pytest.mark.parametrize(("row", "exempt"), [({}, False), ({"exempt": True}, True)])
def test_a_trial_says_whether_it_is_exempt_from_pruning(row, exempt):
    assert from_wire(WIRE | row).exempt is exempt


def test_a_value_that_left_its_choices_is_read_as_it_is():
    trial = from_wire(WIRE | {"params": {"opt": "lion"}})
    assert trial.params == {"opt": "lion"}


def test_a_trial_of_several_objectives_has_no_single_value():
    trial = create_trial(values=[0.5, 0.6])
    assert trial.values == [0.5, 0.6]
    with pytest.raises(RuntimeError, match="several objectives"):
        _ = trial.value


def test_an_objective_can_be_computed_again_from_a_frozen_trial():
    def objective(trial):
        lr = trial.suggest_float("lr", 1e-5, 1.0, log=True)
        layers = trial.suggest_int("layers", 1, 8)
        trial.report(0.5, 0)
        trial.report([0.5, 0.5], 1, cost=1.5)
        assert not trial.should_prune()
        trial.set_user_attr("again", True)
        return lr, layers, trial.suggest_categorical("opt", ["adam", "sgd"])

    trial = from_wire(WIRE)
    assert objective(trial) == (1.0, 3, "adam")
    assert trial.user_attrs["again"] is True


def test_a_frozen_trial_suggests_only_what_it_has():
    trial = from_wire(WIRE)
    with pytest.raises(ValueError, match="no parameter 'momentum'"):
        trial.suggest_float("momentum", 0, 1)
    with pytest.raises(ValueError, match="cannot be float"):
        trial.suggest_float("layers", 0, 1)
    with pytest.warns(UserWarning, match="outside of"):
        assert trial.suggest_int("layers", 5, 8) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"value": 0.5, "values": [0.5]},
        {"value": math.nan},
        {"state": TrialState.FAIL, "value": 0.5},
        {"value": 0.5, "params": {"x": 1.0}},
        {"value": 0.5, "distributions": {"x": FloatDistribution(0, 1)}},
        {"value": 0.5, "params": {"x": 2.0}, "distributions": {"x": FloatDistribution(0, 1)}},
        {"value": 0.5, "params": {"x": "c"}, "distributions": {"x": CategoricalDistribution(["a"])}},
        {"value": 0.5, "params": {"x": 2}, "distributions": {"x": IntDistribution(1, 5, step=2)}},
    ],
)
def test_a_trial_that_contradicts_itself_is_a_value_error(arguments):
    with pytest.raises(ValueError):
        create_trial(**arguments)


def test_a_created_trial_has_times_as_its_state_has_them():
    assert create_trial(value=0.5).duration == timedelta(0)
    waiting = create_trial(state=TrialState.WAITING)
    assert (waiting.datetime_start, waiting.datetime_complete) == (None, None)


def test_lost_trials_are_added_as_failed_and_running_ones_not_at_all():
    lost = FrozenTrial(number=1, state=TrialState.LOST, cause="3 leases expired")
    assert to_wire(lost) == {"state": "failed", "error": "3 leases expired"}
    with pytest.raises(ValueError, match="running trial cannot be added"):
        to_wire(FrozenTrial(number=1, state=TrialState.RUNNING))


def test_a_waiting_trial_is_added_with_the_values_it_was_given_and_a_finished_one_with_those_it_used():
    waiting = FrozenTrial(number=1, state=TrialState.WAITING, fixed={"x": 5})
    assert to_wire(waiting) == {"state": "waiting", "params": {"x": 5}}
    failed = FrozenTrial(number=1, state=TrialState.FAILED, fixed={"x": 5})
    assert to_wire(failed) == {"state": "failed"}


def test_reports_of_several_objectives_are_lists_and_come_back_as_they_were_with_their_costs():
    reports = [
        {"step": 0, "values": [0.5, "NaN"], "cost": 1.5},
        {"step": 3, "values": [0.25, 1.0], "cost": 0.0},
        {"step": 4, "values": [0.25, "Infinity"]},
    ]
    trial = from_wire(WIRE | {"values": [0.25, 1.0], "reports": reports})
    assert (trial.intermediate_values[3], trial.last_step) == ([0.25, 1.0], 4)
    assert trial.intermediate_costs == {0: 1.5, 3: 0.0}
    assert to_wire(trial)["reports"] == reports


def test_states_have_optunas_names_too():
    assert TrialState.FAIL is TrialState.FAILED
    assert TrialState("failed") is TrialState.FAIL
    assert [state.value for state in TrialState if state.is_finished()] == ["complete", "pruned", "failed", "lost"]


def test_trials_sort_by_number():
    trials = [FrozenTrial(number=number, state=TrialState.WAITING) for number in (2, 0, 1)]
    assert [trial.number for trial in sorted(trials)] == [0, 1, 2]
