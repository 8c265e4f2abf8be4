import httpx
import pytest

from tpeak import Checkpoint, TrialState
from tpeak.errors import AlreadyFinished, LeaseLost, NoTrialYet, StudyFinished

ASK = "/studies/s1/ask"
TRIAL = "/studies/s1/trials/0"
ADD = "/studies/s1/trials"
META = {"version": "0.1.0", "features": [], "schema": "0003", "incarnation": "second"}


@pytest.fixture
def trial(study, server):
    server.on(
        "POST",
        ASK,
        server.issues(0, params={"x": 0.25}, distributions={"x": {"type": "float", "low": 0.0, "high": 1.0}}),
    )
    trial = study.ask()
    server.sent.clear()
    return trial


def test_a_release_takes_the_checkpoint_along(study, server, trial, clock, connection):
    trial.release("epoch-3.pt", 3)
    assert server.sent == [("POST", f"{TRIAL}/release", {"lease": "lease-0", "checkpoint": "epoch-3.pt", "step": 3})]
    clock.now += 30.0
    assert connection.heartbeat.renew_due() == 60.0
    with pytest.raises(AlreadyFinished, match="given back"):
        trial.report(0.5, 4)


def test_a_release_takes_the_noted_checkpoint(server, trial, tmp_path):
    trial.set_checkpoint(tmp_path / "a.pt", 7)
    trial.release()
    assert server.bodies(f"{TRIAL}/release") == [{"lease": "lease-0", "checkpoint": str(tmp_path / "a.pt"), "step": 7}]


@pytest.mark.parametrize(("checkpoint", "step"), [("x" * 4097, 1), ("\0", 1), ("a", -1)])
def test_a_checkpoint_that_would_spoil_the_release_is_refused_at_once(trial, checkpoint, step):
    with pytest.raises(ValueError):
        trial.set_checkpoint(checkpoint, step)


def test_a_resumed_trial_says_from_where(study, server):
    reports = [{"step": 3, "values": [0.5]}]
    server.on(
        "POST", ASK, server.issues(0, resume_from={"checkpoint": "c", "step": 3}, reports=reports), server.issues(1)
    )
    assert study.ask().resume_from == Checkpoint(checkpoint="c", step=3)
    assert study.ask().resume_from is None


def test_a_release_that_is_not_delivered_is_warned_of(server, trial):
    server.on("POST", f"{TRIAL}/release", httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="waits until its lease expires"):
        trial.release()


def test_a_release_of_a_lost_trial_is_an_error(server, trial, refusal):
    server.on("POST", f"{TRIAL}/release", refusal(409, "lease_lost"))
    with pytest.raises(LeaseLost):
        trial.release()


def test_a_failure_is_told_with_cause_and_wish(server, trial):
    reply = {"number": 0, "state": "waiting", "values": None, "cause": "no GPU", "seq": 2}
    server.on("POST", f"{TRIAL}/tell", reply)
    trial.fail("no GPU", retry=True)
    assert server.bodies(f"{TRIAL}/tell") == [
        {"lease": "lease-0", "used": [], "state": "failed", "error": "no GPU", "retry": True}
    ]
    with pytest.raises(AlreadyFinished):
        trial.fail()


def test_wall_time_and_resumability_go_with_the_ask(study, server):
    server.on("POST", ASK, server.issues(0), server.issues(1))
    study.ask(wall_time=90.0, resumable=True)
    study.ask(wall_time=-1.0)
    first, second = server.bodies(ASK)
    assert (first["wall_time_s"], first["resumable"]) == (90.0, True)
    assert second["wall_time_s"] == 0.0
    assert "resumable" not in second


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        ({"retry_after_s": 1.0, "reason": "paused"}, NoTrialYet, "it is paused"),
        (
            {"retry_after_s": 20.0, "reason": "host_paused", "cause": "no CUDA device"},
            NoTrialYet,
            "is paused for 20 s more; the last cause: no CUDA device",
        ),
        ({"done": True, "reason": "exhausted"}, StudyFinished, "every point of its search space has been tried"),
        ({"done": True, "reason": "wall_time"}, StudyFinished, "longer than the 90 s of wall time"),
        ({"done": True, "reason": "stop_when", "cause": "trial 3 did it"}, StudyFinished, "trials: trial 3 did it"),
    ],
)
def test_the_reason_why_there_is_no_trial_is_said(study, server, reply, kind, message):
    server.on("POST", ASK, {"trials": [], "seq": 1, **reply})
    with pytest.raises(kind, match=message) as caught:
        study.ask(wall_time=90.0)
    assert caught.value.reason == reply["reason"]


@pytest.mark.parametrize(("status", "code"), [(409, "lease_lost"), (404, "trial_not_found")])
def test_after_a_restore_the_result_is_added_as_a_new_trial(study, server, trial, refusal, status, code):
    trial.suggest_float("x", 0, 1)
    trial.report(0.75, 0)
    trial.set_user_attr("size", 3)
    server.on("POST", f"{TRIAL}/tell", refusal(status, code))
    server.on("GET", "/meta", META)
    server.on("POST", ADD, (201, {"numbers": [4], "seq": 9}))
    with pytest.warns(UserWarning, match="its result is trial 4 now"):
        result = study.tell(trial, 0.5)
    assert (result.number, result.state, result.value) == (4, TrialState.COMPLETE, 0.5)
    assert server.bodies(ADD) == [
        {
            "request_id": "lease-lease-0",
            "trials": [
                {
                    "state": "complete",
                    "params": {"x": 0.25},
                    "distributions": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
                    "user_attrs": {"size": 3},
                    "reports": [{"step": 0, "values": [0.75]}],
                    "values": [0.5],
                }
            ],
        }
    ]


def test_without_a_restore_a_lost_lease_stays_lost(study, server, trial, refusal):
    server.on("POST", f"{TRIAL}/tell", refusal(409, "lease_lost"))
    with pytest.raises(LeaseLost):
        study.tell(trial, 0.5)
    assert server.bodies(ADD) == []


def test_after_a_restore_an_objective_goes_on_and_is_told_why(study, server, trial, refusal):
    server.on("POST", f"{TRIAL}/report", refusal(409, "lease_lost"))
    server.on("GET", "/meta", META)
    with pytest.warns(UserWarning, match="restored from a backup"):
        trial.report(0.5, 0)
    assert trial.should_prune() is False
    assert server.paths() == [f"POST {TRIAL}/report", "GET /meta"]


def test_a_result_that_was_kept_is_added_after_a_restore_too_and_once(study, server, trial, refusal, spool, client):
    server.on("POST", f"{TRIAL}/tell", httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        study.tell(trial, 0.5)
    server.on("POST", f"{TRIAL}/tell", refusal(409, "lease_lost"))
    server.on("GET", "/meta", META)
    server.on("POST", ADD, (503, None), (201, {"numbers": [4], "seq": 9}))
    spool.resend(client)
    spool.resend(client)
    spool.resend(client)
    first, second = server.bodies(ADD)
    assert first == second
    assert list(spool.folder.iterdir()) == []


def test_a_restore_that_happens_before_the_next_ask_is_noticed(study, server, trial, client, refusal):
    server.on("GET", "/meta", (503, None))
    with pytest.raises(Exception, match="tried for 60 s"):
        client.get("/meta")  # an outage
    server.on("GET", "/meta", META)
    server.on("POST", ASK, server.issues(1))
    second = study.ask()
    server.on("POST", "/studies/s1/trials/1/tell", refusal(409, "lease_lost"))
    with pytest.raises(LeaseLost):
        study.tell(second, 0.5)
