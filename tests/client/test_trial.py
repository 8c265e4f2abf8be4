import json
import math
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from tpeak.distributions import FloatDistribution
from tpeak.errors import (
    AlreadyFinished,
    InvalidDistribution,
    InvalidValue,
    LeaseLost,
    ServerUnreachable,
    StudyNotFound,
    Unauthorized,
)

ASK = "/studies/s1/ask"
SUGGEST = "/studies/s1/trials/0/suggest"
REPORT = "/studies/s1/trials/0/report"
TELL = "/studies/s1/trials/0/tell"
FLOAT = {"type": "float", "low": 0.0, "high": 1.0}


@pytest.fixture
def ask(study, server):
    """A trial as the server issues it."""
    return lambda **issued: issued_by(server, study, **issued)


def issued_by(server, study, **issued):
    server.on("POST", ASK, server.issues(0, **issued))
    trial = study.ask()
    server.sent.clear()
    return trial


def with_a_report_held_back(ask, server):
    """A trial whose report the server, which is away from then on, did not get."""
    trial = ask()
    server.on("POST", REPORT, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="held back"):
        trial.report(0.5, 0)
    return trial


def proposing(value, spec=FLOAT, name="x"):
    return {"params": {name: value}, "distributions": {name: spec}}


def test_a_known_parameter_costs_no_request(ask, server):
    trial = ask(**proposing(0.25))
    assert trial.suggest_float("x", 0, 1) == 0.25
    assert server.sent == []
    assert trial.params == {"x": 0.25}
    assert trial.distributions == {"x": FloatDistribution(0, 1)}


def test_values_come_in_the_type_asked_for(ask):
    int_spec = {"type": "int", "low": 1, "high": 8}
    assert type(ask(**proposing(1)).suggest_float("x", 0, 1)) is float
    assert type(ask(**proposing(4.0, int_spec)).suggest_int("x", 1, 8)) is int
    choices = {"type": "categorical", "choices": [1, None, "a"]}
    assert type(ask(**proposing(1.0, choices)).suggest_categorical("x", [1, None])) is int
    assert ask(**proposing(None, choices)).suggest_categorical("x", [1, None]) is None


@pytest.mark.parametrize(
    ("issued", "suggest"),
    [
        ({}, lambda trial: trial.suggest_float("x", 0, 1)),
        (proposing(0.25), lambda trial: trial.suggest_float("x", 0.5, 1)),
        (proposing(0.25), lambda trial: trial.suggest_float("x", 0, 1, step=0.5)),
        (proposing(1.0), lambda trial: trial.suggest_int("x", 0, 1)),
        (proposing("a", {"type": "categorical", "choices": ["a"]}), lambda t: t.suggest_categorical("x", ["b", "c"])),
        (proposing(0.25) | {"fixed": {"x": 0.25}}, lambda trial: trial.suggest_float("x", 0, 1)),
    ],
    ids=["unknown name", "out of range", "off the grid", "another kind", "no such choice", "fixed"],
)
def test_what_the_proposal_does_not_cover_is_asked_for(ask, server, issued, suggest):
    trial = ask(**issued)

    def answer(body):
        distribution = body["distribution"]
        value = distribution["choices"][0] if "choices" in distribution else distribution["high"]
        return {"value": value, "distribution": distribution, "seq": 3}

    server.on("POST", SUGGEST, answer)
    first = suggest(trial)
    assert suggest(trial) == first
    ((_, path, body),) = server.sent
    assert path == SUGGEST
    assert body["lease"] == "lease-0"
    assert body["name"] == "x"


def test_the_distribution_asked_for_is_sent(ask, server):
    spec = {"type": "float", "low": 1e-5, "high": 0.1, "log": True}
    server.on("POST", SUGGEST, {"value": 1e-3, "distribution": spec, "seq": 3})
    assert ask().suggest_float("x", 1e-5, 0.1, log=True) == 1e-3
    assert server.bodies(SUGGEST) == [{"lease": "lease-0", "name": "x", "distribution": spec}]


def test_a_fixed_value_outside_of_the_range_is_used_with_a_warning(ask, server):
    server.on("POST", SUGGEST, {"value": 7.0, "distribution": {"type": "float", "low": 0.0, "high": 9.0}, "seq": 3})
    with pytest.warns(UserWarning, match="fixed for this trial and outside"):
        assert ask(fixed={"x": 7.0}).suggest_float("x", 0, 1) == 7.0


def test_an_earlier_suggestion_of_another_kind_is_an_error(ask, server):
    server.on("POST", SUGGEST, {"value": "a", "distribution": {"type": "categorical", "choices": ["a"]}, "seq": 3})
    trial = ask()
    with pytest.raises(InvalidDistribution, match="categorical in this trial"):
        trial.suggest_float("x", 0, 1)


def test_a_name_keeps_its_first_value_throughout_a_trial(ask):
    trial = ask(**proposing(0.25))
    trial.suggest_float("x", 0, 1)
    with pytest.warns(UserWarning, match="suggested from"):
        assert trial.suggest_float("x", 0.5, 1) == 0.25
    with pytest.raises(InvalidDistribution):
        trial.suggest_int("x", 0, 1)
    with pytest.raises(InvalidDistribution, match="scale"):
        trial.suggest_float("x", 0.1, 1, log=True)


def test_a_contradictory_range_is_refused_before_anything_is_sent(ask, server):
    with pytest.raises(ValueError, match="must not be above"):
        ask().suggest_float("x", 1, 0)
    assert server.sent == []


def test_a_report_is_one_request_that_brings_the_decision(ask, server, report_reply):
    trial = ask()
    server.on("POST", REPORT, report_reply(prune=False), report_reply(prune=True))
    trial.report(0.5, 0)
    assert trial.should_prune() is False
    trial.report(0.25, 1)
    assert trial.should_prune() is True
    assert server.bodies(REPORT) == [
        {"lease": "lease-0", "reports": [{"step": 0, "values": [0.5]}]},
        {"lease": "lease-0", "reports": [{"step": 1, "values": [0.25]}]},
    ]


def test_used_names_are_sent_when_they_have_changed(ask, server):
    trial = ask(params={"x": 0.25, "y": 0.5}, distributions={"x": FLOAT, "y": FLOAT})
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 0)
    trial.report(0.5, 1)
    trial.suggest_float("y", 0, 1)
    trial.report(0.5, 2)
    assert [body.get("used") for body in server.bodies(REPORT)] == [["x"], None, ["x", "y"]]


@pytest.mark.parametrize(("value", "word"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_reports_that_are_not_finite_travel_as_words(ask, server, value, word):
    ask().report(value, 0)
    assert server.bodies(REPORT)[0]["reports"] == [{"step": 0, "values": [word]}]


def test_of_several_objectives_a_report_has_a_number_for_each(two_objectives, server):
    trial = issued_by(server, two_objectives)
    for step, values in enumerate(([0.5, 1], (0.25, math.nan), np.array([1.0, -math.inf]), [np.float32(0.5), True])):
        trial.report(values, step)
    assert [body["reports"][0]["values"] for body in server.bodies(REPORT)] == [
        [0.5, 1.0],
        [0.25, "NaN"],
        [1.0, "-Infinity"],
        [0.5, 1.0],
    ]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0.5, TypeError, "the study has 2 objectives: report a sequence of 2 numbers, got a float"),
        ("12", TypeError, "the study has 2 objectives: report a sequence of 2 numbers, got a str"),
        ([0.5], InvalidValue, "the study has 2 objectives: report 2 numbers, got 1"),
        ([0.5, 0.5, 0.5], InvalidValue, "the study has 2 objectives: report 2 numbers, got 3"),
        ([0.5, None], TypeError, "value must be a number, got a NoneType"),
    ],
)
def test_another_number_of_values_than_objectives_is_an_error_at_once(two_objectives, server, value, error, message):
    trial = issued_by(server, two_objectives)
    with pytest.raises(error, match=f"^{message}$"):
        trial.report(value, 0)
    assert server.bodies(REPORT) == []


def test_of_one_objective_a_report_is_a_number(ask, server):
    with pytest.raises(TypeError, match=r"^value must be a number, got a list$"):
        ask().report([0.5], 0)
    assert server.bodies(REPORT) == []


def test_a_cost_goes_along_where_it_is_given(ask, server):
    trial = ask()
    for step, cost in enumerate((1.5, 0, np.float32(0.25), None)):
        trial.report(0.5, step, cost=cost)
    assert [body["reports"] for body in server.bodies(REPORT)] == [
        [{"step": 0, "values": [0.5], "cost": 1.5}],
        [{"step": 1, "values": [0.5], "cost": 0.0}],
        [{"step": 2, "values": [0.5], "cost": 0.25}],
        [{"step": 3, "values": [0.5]}],
    ]


@pytest.mark.parametrize("cost", [-1.0, -1e-300, math.nan, math.inf, -math.inf])
def test_a_cost_is_finite_and_not_negative(ask, server, cost):
    with pytest.raises(ValueError, match=r"^cost must be finite and at least 0, got "):
        ask().report(0.5, 0, cost=cost)
    assert server.bodies(REPORT) == []


def test_a_cost_is_a_number(ask):
    with pytest.raises(TypeError, match=r"^cost must be a number, got a list$"):
        ask().report(0.5, 0, cost=[1.0])


def test_a_step_beyond_what_a_double_holds_is_a_value_error(ask, server):
    for step in (2**53 + 1, -(2**53) - 1):
        with pytest.raises(ValueError, match=r"step must lie within 0 \.\. 2\^53"):
            ask().report(0.5, step)


def test_what_can_be_cast_is_reported(ask, server):
    ask().report(np.float32(0.5), np.int64(3))
    assert server.bodies(REPORT)[0]["reports"] == [{"step": 3, "values": [0.5]}]


def test_what_cannot_be_cast_is_refused_as_optuna_does(ask, server):
    trial = ask()
    with pytest.raises(TypeError, match="value must be a number"):
        trial.report("much", 0)
    with pytest.raises(TypeError, match="step must be an integer"):
        trial.report(0.5, "first")
    with pytest.raises(ValueError, match="step must lie within"):
        trial.report(0.5, -1)
    assert server.sent == []


def test_of_two_values_for_a_step_the_first_is_kept(ask, server):
    trial = ask()
    trial.report(0.5, 0)
    with pytest.warns(UserWarning, match="step 0 was reported before"):
        trial.report(0.7, 0)
    assert len(server.bodies(REPORT)) == 1


def test_steps_of_an_earlier_attempt_count_as_reported(ask, server):
    trial = ask(reports=[{"step": 0, "values": ["NaN"]}])
    with pytest.warns(UserWarning, match="step 0 was reported before"):
        trial.report(0.5, 0)
    assert server.sent == []


def test_a_value_that_the_server_kept_from_before_is_told(ask, server, report_reply):
    server_trial = ask()
    server.on("POST", REPORT, report_reply(kept=[0]))
    with pytest.warns(UserWarning, match="step 0 had another value before"):
        server_trial.report(0.5, 0)


def test_a_report_renews_the_lease(ask, clock, connection):
    trial = ask()
    clock.now += 15.0
    trial.report(0.5, 0)
    clock.now += 15.0
    assert connection.heartbeat.renew_due() == 5.0


def test_a_cancelled_trial_should_be_pruned(ask, server, report_reply):
    trial = ask()
    server.on("POST", REPORT, report_reply(cancel=True))
    trial.report(0.5, 0)
    assert trial.should_prune() is True


def test_reports_wait_while_the_server_is_away_and_go_with_the_next(ask, server, clock, report_reply, recwarn):
    trial = ask()
    server.on("POST", REPORT, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="Reports are held back until it answers"):
        trial.report(0.5, 0)
    before = clock.now
    server.sent.clear()
    trial.report(0.6, 1)
    assert (clock.now, len(server.sent), recwarn.list) == (before, 1, [])
    server.sent.clear()
    server.on("POST", REPORT, report_reply(prune=True))
    trial.report(0.7, 2)
    (body,) = server.bodies(REPORT)
    assert [report["step"] for report in body["reports"]] == [0, 1, 2]
    assert trial.should_prune() is True


def test_reports_wait_while_a_proxy_answers_in_the_servers_place(ask, server, report_reply):
    trial = ask()
    server.on("POST", REPORT, (404, None))
    with pytest.warns(UserWarning, match="Reports are held back until it answers"):
        trial.report(0.5, 0)
    server.on("POST", REPORT, report_reply())
    trial.report(0.6, 1)
    assert [report["step"] for report in server.bodies(REPORT)[-1]["reports"]] == [0, 1]


def test_reports_wait_while_the_token_is_refused(ask, server, refusal, report_reply):
    trial = ask()
    server.on("POST", REPORT, refusal(401, "unauthorized"))
    with pytest.warns(UserWarning, match="refuses this token.* Reports are held back until the token is taken"):
        trial.report(0.5, 0)
    server.on("POST", REPORT, report_reply())
    trial.report(0.6, 1)
    assert [report["step"] for report in server.bodies(REPORT)[-1]["reports"]] == [0, 1]


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (422, "invalid_value")])
def test_reports_held_back_that_are_refused_do_not_hold_up_the_result(ask, study, server, refusal, status, code):
    trial = with_a_report_held_back(ask, server)
    server.on("POST", REPORT, refusal(status, code))
    with pytest.warns(UserWarning, match=f"reports of trial 0 did not arrive: .*it is {code}"):
        study.tell(trial, 0.5)
    assert server.bodies(TELL)[0]["values"] == [0.5]


def test_reports_held_back_are_sent_before_the_result(ask, study, server, report_reply):
    trial = with_a_report_held_back(ask, server)
    server.sent.clear()
    server.on("POST", REPORT, report_reply())
    study.tell(trial, 0.5)
    assert server.paths() == [f"POST {REPORT}", f"POST {TELL}"]


def test_reports_held_back_are_kept_on_disk_with_the_result(ask, study, server, spool, client, report_reply):
    trial = with_a_report_held_back(ask, server)
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="kept in"):
        assert study.tell(trial, 0.5).value == 0.5
    server.sent.clear()
    server.on("POST", REPORT, report_reply())
    server.on("POST", TELL, {"seq": 1})
    spool.resend(client)
    assert server.paths() == [f"POST {REPORT}", f"POST {TELL}"]


@pytest.mark.parametrize("refused", [(401, "unauthorized"), (404, "study_not_found")], ids=str)
def test_more_reports_than_one_request_carries_are_all_kept_on_disk_where_they_may_count_later(
    ask, study, server, spool, refusal, refused, recwarn
):
    trial = ask()
    for path in (REPORT, TELL):
        server.on("POST", path, refusal(401, "unauthorized"))
    with pytest.warns(UserWarning, match="held back"):
        trial.report(0.5, 0)
    for step in range(1, 2001):
        trial.report(0.5, step)
    for path in (REPORT, TELL):
        server.on("POST", path, refusal(*refused))
    with pytest.raises((Unauthorized, StudyNotFound)):
        study.tell(trial, 0.5)
    kept = [json.loads(file.read_text())["body"] for file in sorted(spool.folder.glob("*.json"))]
    assert [report["step"] for body in kept[:-1] for report in body["reports"]] == [*range(2001)]
    assert kept[-1]["values"] == [0.5]
    assert len(recwarn) == (refused == (401, "unauthorized"))


def test_a_result_waits_on_disk_behind_reports_for_a_silent_server(ask, study, server, spool, clock):
    trial = with_a_report_held_back(ask, server)
    for step in range(1, 2001):
        trial.report(0.5, step)
    server.sent.clear()
    before = clock.now
    with pytest.warns(UserWarning, match="kept in"):
        assert study.tell(trial, 0.5).value == 0.5
    assert clock.now - before <= 60.0
    kept = [json.loads(file.read_text())["body"] for file in sorted(spool.folder.glob("*.json"))]
    assert [body["reports"][0]["step"] if "reports" in body else body["values"] for body in kept] == [
        0,
        1000,
        2000,
        [0.5],
    ]
    assert {body["reports"][0]["step"] for body in server.bodies(REPORT)} == {0}


def test_where_the_disk_takes_no_reports_the_result_goes_its_way(ask, study, server, spool):
    trial = with_a_report_held_back(ask, server)
    spool.folder.touch()
    with pytest.warns(UserWarning, match="did not arrive|cannot be kept"):
        study.tell(trial, 0.5)
    assert len(server.bodies(TELL)) == 1


def test_a_second_tell_after_the_token_was_renewed_brings_the_reports_first(ask, study, server, refusal, report_reply):
    trial = ask()
    refused = refusal(401, "unauthorized")
    server.on("POST", REPORT, refused, refused, report_reply())
    with pytest.warns(UserWarning, match="held back"):
        trial.report(0.5, 0)
    server.before("POST", TELL, refused)
    with pytest.warns(UserWarning, match="did not arrive"), pytest.raises(Unauthorized):
        study.tell(trial, 0.5)
    server.sent.clear()
    study.tell(trial, 0.5)
    assert server.paths()[:2] == [f"POST {REPORT}", f"POST {TELL}"]


def test_reports_held_back_keep_all_their_values_and_costs_over_the_disk(
    two_objectives, server, spool, client, report_reply
):
    trial = issued_by(server, two_objectives)
    for path in (REPORT, TELL):
        server.on("POST", path, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="held back"):
        trial.report([0.5, math.nan], 0, cost=1.5)
    trial.report([0.25, 0.75], 1)
    with pytest.warns(UserWarning, match="kept in"):
        told = two_objectives.tell(trial, [0.25, 0.75])
    assert (told.intermediate_values[1], told.intermediate_costs) == ([0.25, 0.75], {0: 1.5})
    server.sent.clear()
    server.on("POST", REPORT, report_reply())
    server.on("POST", TELL, {"seq": 1})
    spool.resend(client)
    (body,) = server.bodies(REPORT)
    assert body["reports"] == [
        {"step": 0, "values": [0.5, "NaN"], "cost": 1.5},
        {"step": 1, "values": [0.25, 0.75]},
    ]


def test_the_steps_of_an_earlier_attempt_keep_their_values_and_costs(two_objectives, server):
    earlier = [{"step": 0, "values": ["NaN", 0.5], "cost": 2.5}, {"step": 1, "values": [1.0, 0.25]}]
    told = two_objectives.tell(issued_by(server, two_objectives, reports=earlier), [0.5, 0.5])
    assert (told.intermediate_values[1], told.intermediate_costs) == ([1.0, 0.25], {0: 2.5})


def test_after_a_lost_lease_the_objective_may_finish_with_one_warning(ask, server, refusal, recwarn, row_of):
    trial = ask()
    server.on("GET", "/studies/s1/trials/0", row_of(0, state="waiting", values=None))
    server.on("POST", REPORT, refusal(409, "lease_lost"))
    with pytest.warns(UserWarning, match="taken from this worker"):
        trial.report(0.5, 0)
    trial.report(0.6, 1)
    assert recwarn.list == []
    assert len(server.bodies(REPORT)) == 1
    assert trial.should_prune() is False


def test_a_trial_that_another_worker_finished_should_be_given_up(ask, server, refusal, row_of):
    trial = ask()
    server.on("POST", REPORT, refusal(409, "lease_lost"))
    server.on("GET", "/studies/s1/trials/0", row_of(0))
    with pytest.warns(UserWarning, match="taken from this worker"):
        trial.report(0.5, 0)
    assert trial.should_prune() is True


def test_a_loss_that_the_heartbeat_met_is_told_with_the_next_report(ask, server, refusal, clock, connection, row_of):
    trial = ask()
    server.on("POST", "/studies/s1/trials/0/heartbeat", refusal(409, "lease_lost"))
    server.on("GET", "/studies/s1/trials/0", (503, None))
    clock.now += 30.0
    connection.heartbeat.renew_due()
    with pytest.warns(UserWarning, match="taken from this worker"):
        trial.report(0.5, 0)
    assert server.bodies(REPORT) == []
    assert trial.should_prune() is False


def test_reports_from_several_threads_all_arrive(ask, server):
    trial = ask()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda step: trial.report(0.5, step), range(200)))
    steps = [report["step"] for body in server.bodies(REPORT) for report in body["reports"]]
    assert sorted(steps) == list(range(200))


@pytest.mark.parametrize("key", ["", "k" * 256, 7, "\0"])
def test_a_key_that_would_spoil_the_result_is_refused_at_once(ask, key):
    with pytest.raises(InvalidValue):
        ask().set_user_attr(key, 1)


def test_a_new_parameter_needs_the_lease_and_the_server(ask, server, refusal):
    trial = ask()
    server.on("POST", SUGGEST, refusal(409, "lease_lost"))
    with pytest.raises(LeaseLost):
        trial.suggest_float("x", 0, 1)
    server.on("POST", SUGGEST, httpx.ConnectError("refused"))
    with pytest.raises(ServerUnreachable):
        trial.suggest_float("x", 0, 1)
    assert trial.params == {}


def test_attributes_travel_with_the_result(ask, study, server):
    trial = ask(user_attrs={"owner": "me"})
    trial.set_user_attr("size", np.int64(3))
    assert trial.user_attrs == {"owner": "me", "size": 3}
    assert server.sent == []
    study.tell(trial, 0.5)
    assert server.bodies(TELL)[0]["user_attrs"] == {"size": 3}


def test_attributes_are_patched_once_the_trial_is_told(ask, study, server):
    trial = ask()
    study.tell(trial, 0.5)
    server.on("PATCH", "/studies/s1/trials/0", {})
    trial.set_user_attr("size", 3)
    (body,) = server.bodies("/studies/s1/trials/0")
    assert body["user_attrs"] == {"size": 3}
    assert len(body["request_id"]) == 32


@pytest.mark.parametrize("value", [object(), math.nan, "\0", {1: 2}, "x" * 500_001])
def test_an_attribute_that_would_spoil_the_result_is_refused_at_once(ask, study, server, value):
    trial = ask()
    with pytest.raises(InvalidValue):
        trial.set_user_attr("bad", value)
    study.tell(trial, 0.5)
    assert "user_attrs" not in server.bodies(TELL)[0]


def test_a_finished_trial_takes_no_reports(ask, study):
    trial = ask()
    study.tell(trial, 0.5)
    with pytest.raises(AlreadyFinished):
        trial.report(0.5, 0)
