import logging
import pickle
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import httpx
import pytest

from tpeak import TrialPruned, TrialState
from tpeak import connection as connection_module
from tpeak.errors import InternalError, InvalidValue, Unauthorized, Unavailable
from tpeak.parcel import Parcel

ASK = "/studies/s1/ask"
DONE = {"trials": [], "done": True, "seq": 1}
WAIT = {"trials": [], "retry_after_s": 0.0, "seq": 1}


@pytest.fixture
def issuing(server):
    """Hand out so many trials, then say that the study is done."""

    def lay_out(count):
        server.on("POST", ASK, *[server.issues(number) for number in range(count)], DONE)

    return lay_out


def tells(server):
    return [body for _, path, body in server.sent if path.endswith("/tell")]


def test_it_computes_until_the_study_is_done(study, server, issuing):
    issuing(3)
    study.optimize(lambda trial: trial.number + 0.5)
    assert [body["values"] for body in tells(server)] == [[0.5], [1.5], [2.5]]


def test_n_trials_counts_this_calls_trials(study, server, issuing):
    issuing(9)
    study.optimize(lambda trial: 0.5, n_trials=2)
    study.optimize(lambda trial: 0.5, n_trials=1)
    assert len(server.bodies(ASK)) == 3


def test_no_trials_and_no_time_mean_no_requests(study, server, issuing):
    issuing(9)
    study.optimize(lambda trial: 0.5, n_trials=0)
    study.optimize(lambda trial: 0.5, timeout=0)
    assert server.sent == []


def test_it_waits_while_all_trials_are_with_others(study, server):
    server.on("POST", ASK, WAIT, WAIT, server.issues(0), WAIT, DONE)
    study.optimize(lambda trial: 0.5, n_trials=2)
    assert len(server.bodies(ASK)) == 5
    assert len(tells(server)) == 1


def test_the_timeout_interrupts_a_wait(study, server):
    server.on("POST", ASK, WAIT | {"retry_after_s": 3600.0})
    study.optimize(lambda trial: 0.5, timeout=0.05)
    assert len(server.bodies(ASK)) == 1


def test_stop_ends_this_call_after_the_trial(study, server, issuing):
    issuing(9)

    def objective(trial):
        if trial.number == 1:
            trial.study.stop()
        return 0.5

    study.optimize(objective)
    assert len(tells(server)) == 2
    study.optimize(objective, n_trials=1)
    assert len(tells(server)) == 3


def test_stop_has_no_place_elsewhere(study):
    with pytest.raises(RuntimeError, match="within an objective or callback"):
        study.stop()


def test_callbacks_see_each_finished_trial_and_may_stop(study, server, issuing):
    issuing(9)
    seen = []

    def callback(study, trial):
        seen.append((trial.number, trial.state, trial.value))
        if trial.number == 1:
            study.stop()

    study.optimize(lambda trial: 0.5, callbacks=[callback])
    assert seen == [(0, TrialState.COMPLETE, 0.5), (1, TrialState.COMPLETE, 0.5)]


def test_a_call_within_an_objective_is_refused(study, server, issuing):
    issuing(1)
    with pytest.raises(RuntimeError, match="within an objective"):
        study.optimize(lambda trial: study.optimize(lambda trial: 0.5))


def test_an_exception_fails_the_trial_with_its_cause_and_is_raised(study, server, issuing):
    issuing(9)

    def objective(trial):
        raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError, match="by nought"):
        study.optimize(objective)
    (body,) = tells(server)
    assert body["state"] == "failed"
    assert body["error"].splitlines()[0] == "ZeroDivisionError: by nought"
    assert 'raise ZeroDivisionError("by nought")' in body["error"]
    assert "tpeak/optimize.py" not in body["error"]


@pytest.mark.parametrize("catch", [ZeroDivisionError, [KeyError, ZeroDivisionError], (ArithmeticError,)])
def test_exceptions_to_catch_fail_their_trial_alone(study, server, issuing, catch):
    issuing(2)
    study.optimize(lambda trial: 1 / trial.number, catch=catch)
    assert [body["state"] for body in tells(server)] == ["failed", "complete"]


def test_a_pruned_trial_is_told_without_a_value(study, server, issuing):
    issuing(1)

    def objective(trial):
        raise TrialPruned

    study.optimize(objective)
    assert tells(server) == [{"lease": "lease-0", "used": [], "state": "pruned"}]


def test_the_readmes_loop_prunes_when_the_server_says_so(study, server, issuing, report_reply):
    issuing(1)
    server.on("POST", "/studies/s1/trials/0/report", report_reply(), report_reply(prune=True))

    def objective(trial):
        for epoch in range(20):
            trial.report(0.5, epoch)
            if trial.should_prune():
                raise TrialPruned
        return 0.5

    study.optimize(objective)
    assert server.paths() == [
        "POST /workers",
        f"POST {ASK}",
        "GET /meta",
        "POST /studies/s1/trials/0/report",
        "POST /studies/s1/trials/0/report",
        "POST /studies/s1/trials/0/tell",
        f"POST {ASK}",
    ]


@pytest.mark.parametrize(
    ("value", "cause"),
    [(float("nan"), "the value is NaN"), (None, "the value None is not a number"), ("x", "the value 'x' is not")],
)
def test_a_result_that_is_no_number_fails_the_trial_with_a_logged_warning(study, server, issuing, caplog, value, cause):
    issuing(1)
    with caplog.at_level(logging.WARNING, "tpeak"):
        study.optimize(lambda trial: value)
    (body,) = tells(server)
    assert body["state"] == "failed"
    assert cause in body["error"]
    assert cause in caplog.text


def test_an_interrupt_fails_the_trial_and_is_raised(study, server, issuing):
    issuing(9)

    def objective(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, catch=(Exception,))
    (body,) = tells(server)
    assert (body["state"], body["error"].splitlines()[0]) == ("failed", "KeyboardInterrupt")


def test_an_exit_lets_the_lease_go(study, server, issuing, clock, connection):
    issuing(9)

    def objective(trial):
        raise SystemExit

    with pytest.raises(SystemExit):
        study.optimize(objective)
    clock.now += 30.0
    assert connection.heartbeat.renew_due() == 60.0
    assert tells(server) == []


@pytest.mark.parametrize(("answer", "kind"), [((503, None), Unavailable), ((401, None), Unauthorized)])
def test_a_server_that_takes_no_requests_makes_no_trial_fail(
    study, server, issuing, clock, connection, caplog, answer, kind
):
    issuing(9)
    server.on("POST", "/studies/s1/trials/0/suggest", answer)
    with pytest.raises(kind):
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1))
    clock.now += 30.0
    assert connection.heartbeat.renew_due() == 60.0
    assert tells(server) == []
    assert "trial 0 is left to its lease, for any worker to try again once that is over: " in caplog.text


def test_a_trial_that_was_told_before_the_server_fell_silent_is_not_said_to_be_left(study, server, issuing, caplog):
    issuing(9)
    server.on("POST", "/studies/s1/trials/0/suggest", (503, None))

    def objective(trial):
        study.tell(trial, 0.5)
        trial.suggest_float("x", 0, 1)

    with pytest.raises(Unavailable):
        study.optimize(objective)
    assert len(tells(server)) == 1
    assert "is left to its lease" not in caplog.text


def test_a_fault_of_the_server_is_the_trials_cause(study, server, issuing, refusal):
    issuing(9)
    server.on("POST", "/studies/s1/trials/0/suggest", refusal(500, "internal_error"))
    with pytest.raises(InternalError):
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1))
    (body,) = tells(server)
    assert body["state"] == "failed"
    assert body["error"].startswith("tpeak.errors.InternalError: it is internal_error")


@pytest.mark.parametrize("code", ["lease_lost", "already_finished", "not_running"])
def test_a_result_that_comes_too_late_is_warned_of_and_the_loop_goes_on(study, server, issuing, refusal, code):
    issuing(2)
    server.on("POST", "/studies/s1/trials/0/tell", refusal(409, code))
    with pytest.warns(UserWarning, match="trial 0 counts without this worker's result"):
        study.optimize(lambda trial: 0.5)
    assert len(tells(server)) == 2


def test_a_lease_lost_while_suggesting_is_warned_of_and_the_loop_goes_on(study, server, issuing, refusal):
    issuing(2)
    server.on("POST", "/studies/s1/trials/0/suggest", refusal(409, "lease_lost"))
    server.on("POST", "/studies/s1/trials/0/tell", refusal(409, "lease_lost"))
    with pytest.warns(UserWarning, match="trial 0 counts without"):
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1) if trial.number == 0 else 0.5)
    assert [body["state"] for body in tells(server)] == ["failed", "complete"]


def test_results_kept_by_a_former_process_are_sent_first(study, server, issuing, client, spool):
    path = "/studies/s0/trials/5/tell"
    server.on("POST", path, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        spool.deliver(client, Parcel(url=client.url, path=path, body={"lease": "old"}))
    spool.__init__(spool.folder)  # as another process would see it
    server.sent.clear()
    server.on("POST", path, {"seq": 1})
    issuing(0)
    study.optimize(lambda trial: 0.5)
    assert server.paths()[0] == f"POST {path}"


def test_each_call_looks_for_results_kept_by_other_processes(study, server, issuing, client, spool):
    issuing(0)
    study.optimize(half)
    path = "/studies/s0/trials/5/tell"
    server.on("POST", path, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        type(spool)(spool.folder).deliver(client, Parcel(url=client.url, path=path, body={"lease": "other"}))
    server.on("POST", path, {"seq": 1})
    server.sent.clear()
    study.optimize(half)
    assert server.paths()[0] == f"POST {path}"


def test_the_timeout_interrupts_a_wait_of_all_threads(study, server):
    server.on("POST", ASK, WAIT | {"retry_after_s": 3600.0})
    study.optimize(half, timeout=0.05, n_jobs=2)
    assert len(server.bodies(ASK)) <= 2


def test_trials_queued_in_an_executor_do_not_begin_after_stop(study, server, issuing):
    issuing(100)
    with ThreadPoolExecutor(1) as executor:
        study.optimize(stopping, executor=executor, n_jobs=8)
    assert len(tells(server)) == 1


def test_a_result_that_the_server_refuses_is_raised_and_its_lease_let_go(
    study, server, issuing, refusal, clock, connection
):
    issuing(9)
    server.on("POST", "/studies/s1/trials/0/tell", refusal(422, "invalid_value"))
    with pytest.raises(InvalidValue):
        study.optimize(half)
    clock.now += 30.0
    assert connection.heartbeat.renew_due() == 60.0


def test_threads_work_at_once(study, server, issuing):
    issuing(4)
    together = threading.Barrier(2, timeout=10.0)  # passes only where two objectives are under way

    def objective(trial):
        together.wait()
        return 0.5

    study.optimize(objective, n_jobs=2, n_trials=4)
    assert sorted(body["lease"] for body in tells(server)) == ["lease-0", "lease-1", "lease-2", "lease-3"]


def test_n_trials_is_exact_over_threads(study, server, issuing):
    issuing(100)
    study.optimize(lambda trial: 0.5, n_jobs=4, n_trials=10)
    assert len(server.bodies(ASK)) == 10


def test_a_thread_that_had_to_wait_is_no_trial(study, server):
    server.on("POST", ASK, WAIT, server.issues(0), WAIT, server.issues(1), server.issues(2), DONE)
    study.optimize(lambda trial: 0.5, n_jobs=2, n_trials=3)
    assert len(tells(server)) == 3


def test_the_first_exception_in_a_thread_ends_the_call(study, server, issuing):
    issuing(100)
    with pytest.raises(ZeroDivisionError):
        study.optimize(lambda trial: 1 / trial.number, n_jobs=2)
    assert len(tells(server)) < 100
    assert "failed" in [body["state"] for body in tells(server)]


def test_stop_in_a_thread_ends_the_call(study, server, issuing):
    issuing(100)

    def objective(trial):
        trial.study.stop()
        return 0.5

    study.optimize(objective, n_jobs=2)
    assert 1 <= len(tells(server)) <= 2


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_a_number_of_jobs_that_is_none_is_refused(study, n_jobs):
    with pytest.raises(ValueError, match="n_jobs"):
        study.optimize(lambda trial: 0.5, n_jobs=n_jobs)


def test_minus_one_job_is_one_a_cpu(study, server, issuing, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    issuing(2)
    together = threading.Barrier(2, timeout=10.0)

    def objective(trial):
        together.wait()
        return 0.5

    study.optimize(objective, n_jobs=-1)
    assert len(tells(server)) == 2


def test_an_executor_of_threads_is_used(study, server, issuing):
    issuing(4)
    with ThreadPoolExecutor(2, thread_name_prefix="mine") as executor:
        names = []

        def objective(trial):
            names.append(threading.current_thread().name)
            return 0.5

        study.optimize(objective, executor=executor)
    assert len(tells(server)) == 4
    assert all(name.startswith("mine") for name in names)


class Elsewhere(Executor):
    """Runs tasks as a pool of processes would: from their pickles, answering with pickles."""

    _max_workers = 2

    def submit(self, task, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(pickle.loads(pickle.dumps((task, args)))[0]())))
        except Exception as error:
            future.set_exception(pickle.loads(pickle.dumps(error)))
        return future


def half(trial):
    return 0.5


def failing(trial):
    raise ZeroDivisionError("by nought")


def stopping(trial):
    trial.study.stop()
    return 0.5


@pytest.fixture
def elsewhere(connection, monkeypatch):
    """What a process pool's workers would connect to is the test's server."""
    monkeypatch.setattr(connection_module, "_connections", {("http://127.0.0.1:8765", "secret"): connection})
    return Elsewhere()


def test_study_and_objective_travel_to_processes_and_results_back(study, server, issuing, elsewhere):
    issuing(3)
    seen = []
    study.optimize(half, executor=elsewhere, callbacks=[lambda study, trial: seen.append(trial.value)])
    assert len(tells(server)) == 3
    assert seen == [0.5, 0.5, 0.5]


def test_exceptions_come_back_from_processes(study, server, issuing, elsewhere):
    issuing(100)
    with pytest.raises(ZeroDivisionError, match="by nought"):
        study.optimize(failing, executor=elsewhere)
    study.optimize(failing, executor=elsewhere, n_trials=3, catch=ZeroDivisionError)


def test_stop_comes_back_from_processes(study, server, issuing, elsewhere):
    issuing(100)
    study.optimize(stopping, executor=elsewhere)
    assert len(tells(server)) <= 2


def test_what_an_executor_has_not_begun_is_cancelled_after_stop(study, server, issuing, elsewhere, monkeypatch):
    issuing(100)
    begin, queued = elsewhere.submit, []

    def submit(task, /, *args):
        if queued:
            queued.append(Future())  # never to be run
            return queued[-1]
        queued.append(begin(task))
        return queued[0]

    monkeypatch.setattr(elsewhere, "submit", submit)
    study.optimize(stopping, executor=elsewhere, n_jobs=4)
    assert [future.cancelled() for future in queued] == [False, True, True, True]


def test_garbage_is_collected_after_each_trial_if_asked(study, issuing, monkeypatch):
    issuing(2)
    collected = []
    monkeypatch.setattr("gc.collect", lambda: collected.append(1))
    study.optimize(lambda trial: 0.5)
    assert collected == []
    issuing(2)
    study.optimize(lambda trial: 0.5, gc_after_trial=True)
    assert collected == [1, 1]


def test_progress_is_shown_if_asked(study, issuing, capsys):
    issuing(2)
    study.optimize(lambda trial: 0.5, n_trials=2, show_progress_bar=True)
    shown = capsys.readouterr().err
    assert "1/2 trials in 0 s, best 0.5 (trial 0)" in shown
    assert shown.endswith("2/2 trials in 0 s, best 0.5 (trial 0)\x1b[K\n")
    issuing(1)
    study.optimize(lambda trial: 0.5)
    assert capsys.readouterr().err == ""


def test_an_exception_to_retry_on_hands_the_trial_to_another_and_is_not_raised(study, server, issuing):
    issuing(2)
    waiting = {"number": 0, "state": "waiting", "values": None, "cause": "ConnectionError: gone", "seq": 2}
    server.on("POST", "/studies/s1/trials/0/tell", waiting)
    seen = []

    def objective(trial):
        if trial.number == 0:
            raise ConnectionError("gone")
        return 0.5

    study.optimize(
        objective,
        catch=OSError,
        retry_on=(ConnectionError,),
        callbacks=[lambda study, trial: seen.append(trial.number)],
    )
    first, second = tells(server)
    assert (first["state"], first["retry"]) == ("failed", True)
    assert "retry" not in second
    assert seen == [1]


def test_a_retried_failure_with_its_last_attempt_is_a_finished_trial(study, server, issuing):
    issuing(1)
    seen = []
    study.optimize(failing, retry_on=ZeroDivisionError, callbacks=[lambda study, trial: seen.append(trial.state)])
    assert seen == [TrialState.FAILED]


def test_an_objective_may_end_its_trial_itself(study, server, issuing):
    issuing(3)
    seen = []

    def objective(trial):
        if trial.number == 0:
            trial.release("a.pt", 1)
        elif trial.number == 1:
            trial.fail("no good")
        else:
            trial.study.tell(trial, 0.25)
            raise TrialPruned

    study.optimize(objective, callbacks=[lambda study, trial: seen.append((trial.number, trial.state))])
    assert [body["state"] for body in tells(server)] == ["failed", "complete"]
    assert seen == [(1, TrialState.FAILED), (2, TrialState.COMPLETE)]


def test_a_cancelled_trial_that_is_given_up_has_failed(study, server, issuing, report_reply):
    issuing(1)
    server.on("POST", "/studies/s1/trials/0/report", report_reply(cancel=True))

    def objective(trial):
        trial.report(0.5, 0)
        if trial.should_prune():
            raise TrialPruned

    study.optimize(objective)
    (body,) = tells(server)
    assert (body["state"], body["error"]) == ("failed", "cancelled")


def test_a_paused_host_is_warned_of_once_a_pause(study, server, caplog):
    def paused(seconds, cause):
        return {"trials": [], "retry_after_s": seconds, "reason": "host_paused", "cause": cause, "seq": 1}

    server.on("POST", ASK, paused(0.02, "first"), paused(0.0, "first"), paused(3600.0, "second"))
    study.optimize(half, timeout=0.5)
    assert [record.message.rsplit("the last cause: ")[-1] for record in caplog.records] == ["first", "second"]


def test_what_is_left_of_the_wall_time_goes_with_each_ask(study, server, issuing, monkeypatch):
    issuing(2)
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])

    def objective(trial):
        now[0] += 40.0
        return 0.5

    study.optimize(objective, wall_time=100.0, resumable=True)
    assert [body["wall_time_s"] for body in server.bodies(ASK)] == [100.0, 60.0, 20.0]
    assert {body["resumable"] for body in server.bodies(ASK)} == {True}


def test_under_slurm_the_wall_time_is_the_jobs(study, server, issuing, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1090")
    monkeypatch.setattr("time.time", lambda: 1000.0)
    issuing(0)
    study.optimize(half)
    study.optimize(half, wall_time=5.0)
    assert [body["wall_time_s"] for body in server.bodies(ASK)] == [90.0, 5.0]


def test_a_worker_that_no_trial_fits_says_why_it_leaves(study, server, caplog):
    server.on("POST", ASK, {"trials": [], "done": True, "reason": "wall_time", "seq": 1})
    study.optimize(half, wall_time=60.0)
    assert "trials take longer than the 60 s of wall time that this worker has left" in caplog.text


def test_an_exhausted_space_ends_it_and_is_nothing_to_be_warned_of(study, server, caplog):
    server.on("POST", ASK, {"trials": [], "done": True, "reason": "exhausted", "seq": 1})
    with caplog.at_level(logging.INFO, "tpeak"):
        study.optimize(lambda trial: 0.5)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "study 'digits' hands out no more trials: every point of its search space has been tried")
    ]
