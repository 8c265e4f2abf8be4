import json
import math

import pytest

from tpeak import FrozenTrial, TrialState, create_trial
from tpeak.compare import pareto_front
from tpeak.constraints import feasible
from tpeak.errors import AlreadyFinished, InvalidValue
from tpeak.frozen import from_wire, to_wire
from tpeak.states import StudyDirection


def test_constraints_travel_with_the_tell_in_their_order(study, server):
    server.on("POST", "/studies/s1/ask", server.issues())
    trial = study.ask()
    trial.set_constraint("size", 2)
    trial.set_constraint("latency", -0.5)
    assert trial.constraints == {"size": 2.0, "latency": -0.5}
    result = study.tell(trial, 1.0)
    (body,) = server.bodies("/studies/s1/trials/0/tell")
    assert (body["constraints"], body["constraint_names"]) == ([2.0, -0.5], ["size", "latency"])
    assert result.constraints == {"size": 2.0, "latency": -0.5}


def test_constraints_of_an_objective_are_told_whatever_came_of_it(study, server):
    def objective(trial):
        trial.set_constraint("size", math.inf)
        raise RuntimeError("too large")

    server.on("POST", "/studies/s1/ask", server.issues(), {"trials": [], "done": True, "seq": 3})
    study.optimize(objective, catch=RuntimeError)
    (body,) = server.bodies("/studies/s1/trials/0/tell")
    assert (body["state"], body["constraints"], body["constraint_names"]) == ("failed", ["Infinity"], ["size"])


def test_constraints_named_by_their_places_need_no_names(study, server):
    server.on("POST", "/studies/s1/ask", server.issues())
    study.tell(study.ask(), 1.0, constraints={"0": 1.0, "1": -1.0})
    (body,) = server.bodies("/studies/s1/trials/0/tell")
    assert body["constraints"] == [1.0, -1.0]
    assert "constraint_names" not in body


def test_a_trial_that_was_asked_for_elsewhere_is_told_with_its_constraints(study, server, row_of):
    server.on("POST", "/studies/s1/trials/7/tell", {"seq": 2})
    server.on("GET", "/studies/s1/trials/7", row_of(7, constraints=[0.5], constraint_names=["size"]))
    assert study.tell(7, 1.0, constraints={"size": 0.5}).constraints == {"size": 0.5}
    (body,) = server.bodies("/studies/s1/trials/7/tell")
    assert (body["constraints"], body["constraint_names"]) == ([0.5], ["size"])


def test_a_result_on_disk_has_its_constraints_with_it(study, server, spool):
    server.on("POST", "/studies/s1/ask", server.issues())
    trial = study.ask()
    trial.set_constraint("size", 0.25)
    server.on("POST", "/studies/s1/trials/0/tell", (503, None))
    with pytest.warns(UserWarning, match="will be sent later"):
        study.tell(trial, 1.0)
    (file,) = spool.folder.glob("*.json")
    kept = json.loads(file.read_text())
    for part in (kept["body"], kept["trial"]):
        assert (part["constraints"], part["constraint_names"]) == ([0.25], ["size"])


def test_the_first_value_of_a_constraint_stands(study, server):
    server.on("POST", "/studies/s1/ask", server.issues())
    trial = study.ask()
    trial.set_constraint("size", 1.0)
    trial.set_constraint("size", 1.0)
    with pytest.warns(UserWarning, match="'size' has a value already"):
        trial.set_constraint("size", 2.0)
    assert trial.constraints == {"size": 1.0}


@pytest.mark.parametrize(
    ("key", "value", "error", "words"),
    [
        ("size", math.nan, InvalidValue, "must not be NaN"),
        ("size", "large", TypeError, "must be a number, got a str"),
        ("", 1.0, InvalidValue, "1 to 255 characters"),
        ("x" * 256, 1.0, InvalidValue, "1 to 255 characters"),
        (3, 1.0, InvalidValue, "1 to 255 characters"),
    ],
)
def test_what_is_no_constraint_is_refused_where_it_is_set(study, server, key, value, error, words):
    server.on("POST", "/studies/s1/ask", server.issues())
    trial = study.ask()
    with pytest.raises(error, match=words):
        trial.set_constraint(key, value)
    with pytest.raises(error, match=words):
        study.tell(trial, 1.0, constraints={key: value})
    assert server.bodies("/studies/s1/trials/0/tell") == []


def test_a_trial_has_at_most_sixteen_constraints():
    trial = FrozenTrial(number=0, state=TrialState.COMPLETE)
    for place in range(16):
        trial.set_constraint(str(place), 0.0)
    with pytest.raises(InvalidValue, match="at most 16"):
        trial.set_constraint("16", 0.0)


def test_a_finished_trial_takes_no_constraint(study, server):
    server.on("POST", "/studies/s1/ask", server.issues())
    trial = study.ask()
    study.tell(trial, 1.0)
    with pytest.raises(AlreadyFinished):
        trial.set_constraint("size", 1.0)


def test_constraints_are_read_from_the_wire_and_written_to_it(row_of):
    named = from_wire(row_of(constraints=[1.0, "-Infinity"], constraint_names=["size", "latency"]))
    assert named.constraints == {"size": 1.0, "latency": -math.inf}
    assert (to_wire(named)["constraints"], to_wire(named)["constraint_names"]) == (
        [1.0, "-Infinity"],
        ["size", "latency"],
    )
    bare = from_wire(row_of(constraints=[1.0, "NaN"]))
    assert (list(bare.constraints), bare.constraints["0"]) == (["0", "1"], 1.0)
    assert to_wire(bare)["constraints"] == [1.0, "NaN"]
    assert "constraint_names" not in to_wire(bare)
    assert from_wire(row_of()).constraints == {}


def test_created_trials_have_constraints():
    assert create_trial(value=1.0, constraints={"size": 2}).constraints == {"size": 2.0}
    with pytest.raises(InvalidValue, match="must not be NaN"):
        create_trial(value=1.0, constraints={"size": math.nan})


@pytest.mark.parametrize(
    ("value", "met"), [(-1.0, True), (0.0, True), (1e-9, False), (math.inf, False), (-math.inf, True), (math.nan, True)]
)
def test_a_constraint_is_met_unless_it_is_above_0(value, met):
    assert feasible({"other": -1.0, "size": value}) is met


def test_the_front_is_of_feasible_trials():
    def trial(number, values, **constraints):
        return FrozenTrial(number=number, state=TrialState.COMPLETE, values=values, constraints=constraints)

    trials = [
        trial(0, [0.0, 1.0], size=1.0),
        trial(1, [1.0, 1.0], size=0.0),
        trial(2, [2.0, 3.0]),
        trial(3, [2.0, 2.0]),
        trial(4, [2.0, 3.0], size=-1.0),
    ]
    directions = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    assert [one.number for one in pareto_front(trials, directions)] == [1, 2, 4]
