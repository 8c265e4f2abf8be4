import pickle

import httpx
import pytest

from tpeak import FrozenTrial, TrialState, create_trial
from tpeak.distributions import FloatDistribution
from tpeak.errors import (
    AlreadyFinished,
    InvalidValue,
    LeaseLost,
    NoCompleteTrial,
    NoTrialYet,
    NotRunning,
    ServerUnreachable,
    StudyFinished,
    TrialNotFound,
    UnexpectedReply,
)

ASK = "/studies/s1/ask"
TELL = "/studies/s1/trials/0/tell"
TRIALS = "/studies/s1/trials"
COLUMNS = "/studies/s1/columns"
FLOAT = {"type": "float", "low": 0.0, "high": 1.0}


class Broken(httpx.SyncByteStream):
    """A body that ends too early."""

    def __init__(self, content):
        self.content = content

    def __iter__(self):
        yield self.content
        raise httpx.RemoteProtocolError("peer closed connection")


@pytest.fixture
def trial(study, server):
    server.on("POST", ASK, server.issues(0, params={"x": 0.25}, distributions={"x": FLOAT}))
    trial = study.ask()
    server.sent.clear()
    return trial


def test_the_first_ask_registers_the_worker(study, server, connection):
    server.on("POST", ASK, server.issues(0), server.issues(1))
    assert [study.ask().number, study.ask().number] == [0, 1]
    assert server.paths() == ["POST /workers", f"POST {ASK}", "GET /meta", f"POST {ASK}"]
    first, second = server.bodies(ASK)
    assert first["request_id"] != second.pop("request_id")
    assert second == {"worker": connection.worker.id, "host": connection.worker.host, "count": 1}


def test_fixed_distributions_are_sent_and_suggested_at_once(study, server):
    server.on("POST", ASK, server.issues(0, params={"x": 0.25}, distributions={"x": FLOAT}))
    trial = study.ask({"x": FloatDistribution(0, 1)})
    assert trial.params == {"x": 0.25}
    assert server.bodies(ASK)[0]["distributions"] == {"x": FLOAT}


def test_an_ask_whose_parameters_are_refused_lets_the_lease_go(study, server, connection, clock, refusal):
    server.on("POST", "/studies/s1/ask", server.issues(0))
    server.on("POST", "/studies/s1/trials/0/suggest", refusal(422, "invalid_value"))
    with pytest.raises(InvalidValue):
        study.ask({"x": FloatDistribution(0, 1)})
    clock.now += 30.0
    assert connection.heartbeat.renew_due() == 60.0


def test_an_ask_that_must_wait_says_how_long(study, server):
    server.on("POST", ASK, {"trials": [], "retry_after_s": 2.5, "seq": 1})
    with pytest.raises(NoTrialYet) as caught:
        study.ask()
    assert caught.value.retry_after_s == 2.5


def test_an_ask_after_the_last_trial_says_so(study, server):
    server.on("POST", ASK, {"trials": [], "done": True, "seq": 1})
    with pytest.raises(StudyFinished, match="budget is used up"):
        study.ask()


def test_a_tell_brings_the_result_and_the_names_used(study, server, trial):
    trial.suggest_float("x", 0, 1)
    frozen = study.tell(trial, 0.5)
    assert server.sent == [("POST", TELL, {"lease": "lease-0", "state": "complete", "values": [0.5], "used": ["x"]})]
    assert (frozen.number, frozen.state, frozen.value, frozen.params) == (0, TrialState.COMPLETE, 0.5, {"x": 0.25})
    assert frozen.duration is not None


def test_a_tell_by_number_finds_the_lease_of_its_own_trial(study, server, trial):
    study.tell(0, 0.5)
    assert server.bodies(TELL)[0]["lease"] == "lease-0"


def test_a_tell_by_number_of_anothers_trial_goes_without_a_lease(study, server, row_of):
    server.on("POST", "/studies/s1/trials/7/tell", {"seq": 1})
    server.on("GET", "/studies/s1/trials/7", row_of(7))
    assert study.tell(7, 0.5).number == 7
    assert server.bodies("/studies/s1/trials/7/tell") == [{"state": "complete", "values": [0.5]}]


def test_the_server_decides_a_pruned_trials_value(study, server, trial):
    server.on("POST", TELL, {"number": 0, "state": "pruned", "values": ["Infinity"], "cause": None, "seq": 2})
    assert study.tell(trial, state=TrialState.PRUNED).value == float("inf")
    assert server.bodies(TELL) == [{"lease": "lease-0", "state": "pruned", "used": []}]


def test_a_told_nan_fails_the_trial_with_a_warning(study, server, trial):
    with pytest.warns(UserWarning, match="the value is NaN"):
        frozen = study.tell(trial, float("nan"))
    assert (frozen.state, frozen.values, frozen.cause) == (TrialState.FAILED, None, "the value is NaN")
    assert server.bodies(TELL)[0]["error"] == "the value is NaN"


def test_a_finished_trial_is_not_told_again(study, server, trial):
    first = study.tell(trial, 0.5)
    server.sent.clear()
    with pytest.raises(ValueError, match="told to be complete already"):
        study.tell(trial, 0.6)
    assert study.tell(trial, 0.6, skip_if_finished=True) == first
    assert server.sent == []


def test_a_trial_that_another_finished_is_refused_or_returned(study, server, trial, refusal, row_of):
    server.on("POST", TELL, refusal(409, "already_finished"))
    with pytest.raises(AlreadyFinished):
        study.tell(trial, 0.5)
    server.on("GET", "/studies/s1/trials/0", row_of(0, values=[0.75]))
    assert study.tell(trial, 0.5, skip_if_finished=True).value == 0.75


def test_a_lost_lease_is_raised_where_nobody_finished_the_trial(study, server, trial, refusal, row_of):
    server.on("POST", TELL, refusal(409, "lease_lost"))
    server.on("GET", "/studies/s1/trials/0", row_of(0, state="running", values=None, finished_at=None))
    with pytest.raises(LeaseLost):
        study.tell(trial, 0.5, skip_if_finished=True)


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(404, "trial_not_found", TrialNotFound), (409, "not_running", NotRunning)]
)
def test_telling_what_was_never_asked_is_a_value_error(study, server, refusal, status, code, kind):
    server.on("POST", "/studies/s1/trials/7/tell", refusal(status, code))
    with pytest.raises(ValueError) as caught:
        study.tell(7, 0.5)
    assert type(caught.value) is kind


def test_what_is_no_trial_cannot_be_told(study):
    with pytest.raises(TypeError, match="got a str"):
        study.tell("0", 0.5)


def test_a_told_trial_is_renewed_no_more(study, server, trial, clock, connection):
    study.tell(trial, 0.5)
    clock.now += 30.0
    connection.heartbeat.renew_due()
    assert server.paths() == [f"POST {TELL}"]


def test_an_asked_trial_is_renewed_even_if_only_its_number_is_kept(study, server, clock, connection):
    server.on("POST", ASK, server.issues(0))
    server.on("POST", "/studies/s1/trials/0/heartbeat", {"cancel": False, "lease_seconds": 60.0})
    number = study.ask().number
    clock.now += 30.0
    connection.heartbeat.renew_due()
    assert server.paths()[-1] == f"POST /studies/s1/trials/{number}/heartbeat"


def test_a_result_that_cannot_be_delivered_is_sent_with_the_next_ask(study, server, trial):
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        assert study.tell(trial, 0.5).value == 0.5
    server.sent.clear()
    server.on("POST", ASK, server.issues(1))
    server.on("POST", TELL, {"seq": 2})
    study.ask()
    assert server.paths() == [f"POST {TELL}", f"POST {ASK}", "GET /meta"]  # which may be another one after an outage
    assert server.bodies(TELL)[0]["values"] == [0.5]


def test_results_that_were_kept_are_sent_after_the_next_one_that_arrives(study, server):
    server.on("POST", ASK, server.issues(0), server.issues(1))
    first, second = study.ask(), study.ask()
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        study.tell(first, 0.5)
    server.on("POST", TELL, {"seq": 2})
    server.sent.clear()
    study.tell(second, 0.6)
    assert server.paths() == ["POST /studies/s1/trials/1/tell", f"POST {TELL}"]


def test_enqueued_parameters_wait_with_their_attributes(study, server):
    server.on("POST", TRIALS, (201, {"numbers": [0], "seq": 1}))
    study.enqueue_trial({"x": 5}, user_attrs={"memo": "optimal"})
    (body,) = server.bodies(TRIALS)
    assert body["trials"] == [{"params": {"x": 5}, "user_attrs": {"memo": "optimal"}}]


def test_parameters_that_are_there_are_not_enqueued_again(study, server, row_of):
    rows = [
        row_of(0, params={"x": 5.0}),
        row_of(1, state="waiting", origin="enqueued", fixed={"x": 6}),
        row_of(2, params={"x": 8.0, "y": 2.0}, origin="enqueued", fixed={"x": 8}),
        row_of(3, params={"x": 9.0, "y": 2.0}, origin="partial_fixed", fixed={"x": 9}),
    ]
    server.on("GET", TRIALS, {"trials": rows, "next": None, "seq": 1})
    server.on("POST", TRIALS, (201, {"numbers": [4], "seq": 2}))
    for params in ({"x": 5}, {"x": 6}, {"x": 7}, {"x": 5, "y": 1}, {"x": 8}, {"x": 9}):
        study.enqueue_trial(params, skip_if_exists=True)
    enqueued = [body["trials"][0]["params"] for body in server.bodies(TRIALS) if body]
    assert enqueued == [{"x": 7}, {"x": 5, "y": 1}, {"x": 9}]


def test_finished_trials_are_added_with_all_that_they_have(study, server):
    server.on("POST", TRIALS, (201, {"numbers": [0], "seq": 1}))
    trial = create_trial(
        value=float("inf"),
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        intermediate_values={1: 0.5, 0: float("nan")},
        user_attrs={"a": 1},
    )
    study.add_trial(trial)
    assert server.bodies(TRIALS)[0]["trials"] == [
        {
            "state": "complete",
            "values": ["Infinity"],
            "params": {"x": 0.5},
            "distributions": {"x": FLOAT},
            "reports": [{"step": 0, "values": ["NaN"]}, {"step": 1, "values": [0.5]}],
            "user_attrs": {"a": 1},
        }
    ]


def test_trials_of_another_number_of_objectives_are_not_added(study, server):
    with pytest.raises(InvalidValue, match="2 value"):
        study.add_trials([create_trial(value=0.5), create_trial(values=[0.5, 0.6])])
    assert server.sent == []


def test_many_trials_are_added_in_requests_of_a_thousand(study, server):
    server.on("POST", TRIALS, (201, {"numbers": [], "seq": 1}))
    study.add_trials([create_trial(value=0.5)] * 1001)
    assert [len(body["trials"]) for body in server.bodies(TRIALS)] == [1000, 1]


def test_large_trials_are_added_in_requests_below_the_servers_limit(study, server):
    server.on("POST", TRIALS, (201, {"numbers": [], "seq": 1}))
    study.add_trials([create_trial(value=0.5, user_attrs={"a": "x" * 300_000})] * 3)
    assert [len(body["trials"]) for body in server.bodies(TRIALS)] == [1, 1, 1]


def test_all_pages_of_trials_are_read(study, server, row_of):
    pages = [{"trials": [row_of(n)], "next": n if n < 2 else None, "seq": 1} for n in range(3)]
    server.on("GET", TRIALS, *pages)
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert server.paths() == ["GET /meta", *[f"GET {TRIALS}"] * 3]
    assert [request.url.query for request in server.requests] == [
        b"",
        b"limit=1000",
        b"limit=1000&after=0",
        b"limit=1000&after=1",
    ]


def test_trials_are_read_by_state(study, server):
    server.on("GET", TRIALS, {"trials": [], "next": None, "seq": 1})
    study.get_trials(deepcopy=False, states=(TrialState.FAIL, TrialState.COMPLETE))
    assert server.requests[-1].url.query == b"limit=1000&state=complete&state=failed"
    assert study.get_trials(states=()) == []
    assert len(server.requests) == 2


def test_a_server_that_has_columns_is_read_in_one_request(study, server, columns_of):
    server.on("GET", "/meta", {"features": ["columns"]})
    server.on("GET", COLUMNS, lambda _: httpx.Response(200, content=columns_of([0, 1], 1) + columns_of([4], None)))
    trials = study.get_trials(states=(TrialState.COMPLETE,))
    assert [(trial.number, trial.value) for trial in trials] == [(0, 0.5), (1, 0.5), (4, 0.5)]
    assert [request.url.query for request in server.requests] == [b"", b"state=complete"]


def test_a_reply_that_breaks_off_is_gone_on_with_where_it_did(study, server, columns_of):
    server.on("GET", "/meta", {"features": ["columns"]})
    broken = [httpx.Response(200, stream=Broken(columns_of([n], n) + b'{"numb')) for n in range(2)]
    whole = httpx.Response(200, content=columns_of([2], None))
    server.on("GET", COLUMNS, *[lambda _, reply=reply: reply for reply in (*broken, whole)])
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert [request.url.query for request in server.requests] == [b"", b"", b"after=0", b"after=1"]


@pytest.mark.parametrize("end", ["broken", "short"])
def test_a_reply_that_comes_no_further_is_an_error(study, server, end):
    server.on("GET", "/meta", {"features": ["columns"]})
    stream = Broken(b'{"numb') if end == "broken" else httpx.ByteStream(b'{"numb')
    server.on("GET", COLUMNS, lambda _: httpx.Response(200, stream=stream))
    with pytest.raises(ServerUnreachable, match="broke off"):
        study.get_trials()


def test_a_page_that_is_no_trials_is_not_taken_for_some(study, server):
    server.on("GET", "/meta", {"features": ["columns"]})
    server.on("GET", COLUMNS, lambda _: httpx.Response(200, content=b"<html>\nlog in\n</html>\n"))
    with pytest.raises(UnexpectedReply, match="is that a tpeak server"):
        study.get_trials()


def test_the_best_trial_is_the_servers(study, server, row_of):
    spec = {"type": "int", "low": 1, "high": 8}
    server.on("GET", "/studies/s1/best", row_of(3, params={"n": 4.0}, distributions={"n": spec}))
    assert study.best_trial.number == 3
    assert study.best_value == 0.5
    assert study.best_params == {"n": 4}
    assert type(study.best_params["n"]) is int


def test_no_best_trial_is_a_value_error(study, server, refusal):
    server.on("GET", "/studies/s1/best", refusal(404, "no_complete_trial"))
    with pytest.raises(ValueError) as caught:
        _ = study.best_trial
    assert type(caught.value) is NoCompleteTrial


def test_several_objectives_have_a_front_and_no_best(two_objectives, server, row_of):
    values = [[1.0, 1.0], [2.0, 3.0], [2.0, 2.0], [1.0, 1.0], [0.5, 0.0]]
    rows = [row_of(number, values=each) for number, each in enumerate(values)]
    server.on("GET", TRIALS, {"trials": rows, "next": None, "seq": 1})
    assert [trial.number for trial in two_objectives.best_trials] == [0, 1, 3, 4]
    for name in ("best_trial", "best_value", "best_params", "direction"):
        with pytest.raises(RuntimeError, match="several objectives"):
            getattr(two_objectives, name)
    assert [str(direction) for direction in two_objectives.directions] == ["minimize", "maximize"]


def test_attributes_are_the_servers(study, server, study_of):
    server.on("PATCH", "/studies/s1", study_of())
    server.on("GET", "/studies/s1", study_of(user_attrs={"a": 1}))
    study.set_user_attr("a", 1)
    assert study.user_attrs == {"a": 1}
    assert server.bodies("/studies/s1")[0]["user_attrs"] == {"a": 1}


def test_a_study_is_pickled_as_what_it_takes_to_connect_again(study, monkeypatch, tmp_path):
    monkeypatch.setenv("TPEAK_SPOOL_DIR", str(tmp_path))
    again = pickle.loads(pickle.dumps(study))
    assert (again.study_name, again._id, again.directions) == ("digits", "s1", study.directions)
    assert again._connection.client.url == "http://127.0.0.1:8765"
    assert again._connection.client.token == "secret"


def test_the_token_is_never_shown(study, trial):
    assert "secret" not in repr(study) + repr(trial) + repr(study._connection)
    assert "lease-0" not in repr(trial)
    assert repr(study) == "Study('digits', id='s1', storage='http://127.0.0.1:8765')"


def test_a_spooled_result_of_anothers_trial_is_returned_as_told(study, server):
    server.on("POST", "/studies/s1/trials/7/tell", httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        assert study.tell(7, 0.5) == FrozenTrial(number=7, state=TrialState.COMPLETE, values=[0.5])
