import multiprocessing
import os
import signal
import sys
import threading

import httpx
import pytest

from tpeak import Preempted
from tpeak import preemption as module

ASK = "/studies/s1/ask"
REPORT = "/studies/s1/trials/0/report"
RELEASE = "/studies/s1/trials/0/release"
TELL = "/studies/s1/trials/0/tell"
DONE = {"trials": [], "done": True, "seq": 1}


@pytest.fixture(autouse=True)
def issuing(server):
    server.on("POST", ASK, *[server.issues(number) for number in range(9)])


@pytest.fixture
def terminated():
    """The numbers of signals that came to the user's own handler of SIGTERM."""
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def handed_back(server):
    """Set once trial 0 was released."""
    event = threading.Event()

    def released(body):
        event.set()
        return {"state": "waiting", "seq": 2}

    server.on("POST", RELEASE, released)
    return event


def preempted(trial):
    trial.report(0.5, 6)
    trial.set_checkpoint("epoch-6.pt", 6)
    os.kill(os.getpid(), signal.SIGUSR1)
    raise AssertionError("the signal interrupts this")


def test_sigusr1_hands_the_trial_back_with_its_checkpoint_and_ends_the_call(study, server):
    study.optimize(preempted)
    assert server.bodies(RELEASE) == [{"lease": "lease-0", "checkpoint": "epoch-6.pt", "step": 6}]
    assert server.bodies(TELL) == []
    assert len(server.bodies(ASK)) == 1


def test_sigterm_hands_the_trial_back_and_then_does_what_it_would_have_done(study, server, terminated):
    def objective(trial):
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    study.optimize(objective)
    assert server.bodies(RELEASE) == [{"lease": "lease-0"}]
    assert terminated == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_handlers_are_taken_over_during_the_call_alone(study, server):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
    study.optimize(lambda trial: 0.5, n_trials=1)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before


def test_an_ignored_signal_stays_ignored(study, server):
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def objective(trial):
        os.kill(os.getpid(), signal.SIGUSR1)
        return 0.5

    study.optimize(objective, n_trials=1)
    assert signal.signal(signal.SIGUSR1, before) == signal.SIG_IGN
    assert server.bodies(RELEASE) == []


def test_the_former_workers_checkpoint_goes_on_where_there_is_no_newer_one(study, server):
    resumed = {"checkpoint": "epoch-3.pt", "step": 3}
    server.on("POST", ASK, server.issues(0, resume_from=resumed))
    study.optimize(lambda trial: os.kill(os.getpid(), signal.SIGUSR1))
    assert server.bodies(RELEASE) == [{"lease": "lease-0", **resumed}]


def test_reports_that_were_held_back_go_first(study, server, report_reply):
    server.on("POST", REPORT, (503, None))

    def objective(trial):
        with pytest.warns(UserWarning, match="held back"):
            trial.report(0.5, 0)
        server.sent.clear()
        server.on("POST", REPORT, report_reply())
        os.kill(os.getpid(), signal.SIGUSR1)

    study.optimize(objective)
    assert server.paths() == [f"POST {REPORT}", f"POST {RELEASE}"]


def test_a_server_that_is_out_of_reach_does_not_hold_up_the_exit(study, server, clock, caplog):
    def objective(trial):
        server.on("POST", RELEASE, httpx.ConnectError("refused"))
        clock.slept.clear()
        os.kill(os.getpid(), signal.SIGUSR1)

    study.optimize(objective)
    assert sum(clock.slept) <= module.HAND_BACK_S
    assert "trial 0 was not handed back; its lease will expire" in caplog.text
    assert server.requests[-1].extensions["timeout"]["read"] <= module.HAND_BACK_S / 2


def test_what_the_objective_raises_because_of_the_signal_fails_nothing(study, server):
    def objective(trial):
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        except BaseException as interruption:
            raise RuntimeError("DataLoader worker is killed by signal: Terminated") from interruption

    study.optimize(objective)
    assert server.bodies(RELEASE) == [{"lease": "lease-0"}]
    assert server.bodies(TELL) == []


def test_an_objective_that_finishes_all_the_same_is_told_and_the_call_ends(study, server):
    def objective(trial):
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        except Preempted:
            return 0.5

    study.optimize(objective)
    assert [body["values"] for body in server.bodies(TELL)] == [[0.5]]
    assert len(server.bodies(ASK)) == 1


def test_a_signal_whose_exception_was_lost_is_met_at_the_trials_next_word(study, server, monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: lost.append(ignored.exc_type))

    class Loader:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGUSR1)

    def objective(trial):
        Loader()
        trial.report(0.5, 6)
        trial.should_prune()
        return 0.5

    study.optimize(objective)
    assert lost == [Preempted]
    assert server.paths()[-2:] == [f"POST {REPORT}", f"POST {RELEASE}"]


def test_the_first_process_of_a_container_ends_too(study, server, monkeypatch):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(signal, "raise_signal", lambda number: None)  # as the kernel does with that process
    try:
        with pytest.raises(SystemExit) as ending:
            study.optimize(lambda trial: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ending.value.code == 143
    assert server.bodies(RELEASE) == [{"lease": "lease-0"}]


def test_a_result_that_a_thread_has_after_the_handing_back_is_told(study, server, handed_back):
    def objective(trial):
        os.kill(os.getpid(), signal.SIGUSR1)
        handed_back.wait(10.0)
        return 0.5

    server.on("POST", ASK, server.issues(0), DONE)
    study.optimize(objective, n_jobs=2)
    assert [body["values"] for body in server.bodies(TELL)] == [[0.5]]


def test_sigterm_is_not_held_up_by_a_sigusr1_whose_trials_were_handed_back(study, server, terminated, handed_back):
    def objective(trial):
        os.kill(os.getpid(), signal.SIGUSR1)
        handed_back.wait(10.0)
        os.kill(os.getpid(), signal.SIGTERM)
        while not terminated:
            pass

    server.on("POST", ASK, server.issues(0), DONE)
    study.optimize(objective, n_jobs=2)
    assert terminated == [signal.SIGTERM]
    assert server.bodies(RELEASE) == [{"lease": "lease-0"}]


def test_a_signal_while_a_trial_is_asked_for_finds_out_which_it_was(study, server):
    def interrupted(body):
        os.kill(os.getpid(), signal.SIGUSR1)

    server.on("POST", ASK, interrupted, server.issues(0))
    study.optimize(lambda trial: 0.5)
    first, second = server.bodies(ASK)
    assert first == second
    assert server.bodies(RELEASE) == [{"lease": "lease-0"}]


def test_a_signal_while_the_result_is_told_does_not_lose_it(study, server, spool):
    def interrupted(body):
        os.kill(os.getpid(), signal.SIGUSR1)

    server.on("POST", TELL, interrupted, {"number": 0, "state": "complete", "values": [0.5], "cause": None, "seq": 2})
    study.optimize(lambda trial: 0.5)
    first, second = server.bodies(TELL)
    assert first == second
    assert list(spool.folder.iterdir()) == []
    assert server.bodies(RELEASE) == []


def test_a_result_that_a_signal_and_an_outage_meet_stays_on_disk_once(study, server, spool):
    server.on("POST", TELL, (503, None), lambda body: os.kill(os.getpid(), signal.SIGUSR1), (503, None))
    with pytest.warns(UserWarning, match="will be sent later"):
        study.optimize(lambda trial: 0.5)
    assert len(list(spool.folder.iterdir())) == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_signal_while_it_waits_for_a_trial_ends_the_call(study, server, n_jobs):
    wait = {"trials": [], "retry_after_s": 3600.0, "seq": 1}
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    server.on("POST", ASK, lambda body: timer.start() or wait, wait)
    study.optimize(lambda trial: 0.5, n_jobs=n_jobs)
    assert 1 <= len(server.bodies(ASK)) <= n_jobs


def test_a_trial_that_a_thread_gets_after_the_signal_is_handed_back_too(study, server):
    asked = threading.Event()

    def late(body):
        asked.set()
        while not module.signalled():
            pass
        return server.issues(1)

    def objective(trial):
        asked.wait(10.0)
        os.kill(os.getpid(), signal.SIGUSR1)
        while True:
            trial.should_prune()

    server.on("POST", ASK, server.issues(0), late)
    study.optimize(objective, n_jobs=2)
    assert server.bodies("/studies/s1/trials/1/release") == [{"lease": "lease-1"}]


def test_all_trials_of_a_process_are_handed_back(study, server):
    together = threading.Barrier(2, timeout=10.0)
    interrupted = []

    def objective(trial):
        trial.set_checkpoint(f"of-{trial.number}")
        if together.wait() == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
        try:
            while True:
                trial.should_prune()
        except Preempted:
            interrupted.append(trial.number)
            raise

    study.optimize(objective, n_jobs=2)
    released = [server.bodies(f"/studies/s1/trials/{number}/release") for number in (0, 1)]
    assert released == [[{"lease": f"lease-{number}", "checkpoint": f"of-{number}"}] for number in (0, 1)]
    assert sorted(interrupted) == [0, 1]
    assert not any(path.endswith("tell") for path in server.paths())


def test_a_signal_that_launchers_repeat_counts_once(study, server):
    def objective(trial):
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            os.kill(os.getpid(), signal.SIGUSR1)

    study.optimize(objective)
    assert server.bodies(RELEASE) == [{"lease": "lease-0"}]


def test_other_threads_than_the_main_one_install_nothing(study, server):
    seen = []
    before = signal.getsignal(signal.SIGTERM)

    def objective(trial):
        seen.append(signal.getsignal(signal.SIGTERM))
        return 0.5

    thread = threading.Thread(target=study.optimize, args=(objective,), kwargs={"n_trials": 1})
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_forked_child_meets_signals_as_if_nothing_were_there(study, server, connection, clock):
    codes = []

    def objective(trial):
        pid = os.fork()
        if pid == 0:
            clock.now += 30.0
            connection.heartbeat.renew_due()
            undisturbed = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and not module._computing
            if undisturbed and server.sent[-1][1] != "/studies/s1/trials/0/heartbeat":
                os.kill(os.getpid(), signal.SIGTERM)
            os._exit(1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return 0.5

    study.optimize(objective, n_trials=1)
    assert codes == [-signal.SIGTERM]
    assert server.bodies(RELEASE) == []
    assert len(server.bodies(TELL)) == 1


def test_a_child_of_multiprocessing_can_be_terminated_and_hands_back_nothing(study, server):
    codes = []

    def objective(trial):
        context = multiprocessing.get_context("fork")
        child = context.Process(target=threading.Event().wait)
        child.start()
        child.terminate()
        child.join(10.0)
        codes.append(child.exitcode)
        return 0.5

    study.optimize(objective, n_trials=1)
    assert codes == [-signal.SIGTERM]
    assert server.bodies(RELEASE) == []


def test_a_handler_that_runs_in_a_child_all_the_same_leaves_the_parents_trial_alone(study, server, monkeypatch):
    def objective(trial):
        module._watch._pid = -1  # as in a child of a fork that ran no hooks
        os.kill(os.getpid(), signal.SIGTERM)
        return 0.5

    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    study.optimize(objective, n_trials=1)
    signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
    assert server.bodies(RELEASE) == []


def test_a_child_that_comes_back_from_the_objective_tells_nothing(study, server):
    def objective(trial):
        pid = os.fork()
        if pid == 0:
            return 0.25
        os.waitpid(pid, 0)
        return 0.5

    parent = os.getpid()
    sent = os.pipe()
    try:
        study.optimize(objective, n_trials=1)
    except RuntimeError as error:
        if os.getpid() != parent:
            os.write(sent[1], f"{len(server.bodies(TELL))} {error}".encode())
            os._exit(0)
        raise
    assert os.read(sent[0], 1000).startswith(b"0 a process that the objective forked")
    assert [body["values"] for body in server.bodies(TELL)] == [[0.5]]
