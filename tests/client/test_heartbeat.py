import gc
import os
import threading

import httpx
import pytest

from tpeak.heartbeat import Heartbeat, Lease

BEAT = "/studies/s1/trials/0/heartbeat"


@pytest.fixture
def heartbeat(connection):
    return connection.heartbeat


@pytest.fixture
def lease(client, heartbeat):
    lease = Lease(client, "/studies/s1/trials/0", "lease-0", 60.0, heartbeat.clock())
    heartbeat.add(lease)
    return lease


def test_a_lease_is_renewed_when_a_third_of_it_is_over(heartbeat, lease, server, clock):
    server.on("POST", BEAT, {"cancel": False, "lease_seconds": 60.0})
    assert heartbeat.renew_due() == 20.0
    assert server.sent == []
    clock.now += 20.0
    assert heartbeat.renew_due() == 20.0
    assert server.sent == [("POST", BEAT, {"lease": "lease-0"})]


def test_time_counts_from_when_the_request_was_sent(heartbeat, lease, server, clock):
    def slow(body):
        clock.now += 7.0
        return {"cancel": False, "lease_seconds": 30.0}

    server.on("POST", BEAT, slow)
    clock.now += 20.0
    assert heartbeat.renew_due() == 3.0
    assert lease.due_at() == 1030.0


def test_a_lease_that_a_report_renewed_is_left_alone(heartbeat, lease, clock):
    clock.now += 15.0
    lease.renew({"lease_seconds": 60.0, "cancel": False}, clock.now)
    clock.now += 15.0
    assert heartbeat.renew_due() == 5.0


def test_an_older_request_does_not_shorten_a_lease(lease, clock):
    lease.renew({"lease_seconds": 60.0, "cancel": False}, clock.now + 5.0)
    lease.renew({"lease_seconds": 60.0, "cancel": False}, clock.now + 2.0)
    assert lease.renewed_at == clock.now + 5.0


def test_a_cancellation_is_noted_and_stays(heartbeat, lease, server, clock):
    server.on("POST", BEAT, {"cancel": True, "lease_seconds": 60.0}, {"cancel": False, "lease_seconds": 60.0})
    for _ in range(2):
        clock.now += 20.0
        heartbeat.renew_due()
    assert lease.cancelled
    assert not lease.lost


@pytest.mark.parametrize(("status", "code"), [(409, "lease_lost"), (409, "not_running"), (404, "trial_not_found")])
def test_a_lost_lease_is_noted_and_renewed_no_more(heartbeat, lease, server, clock, refusal, status, code):
    server.on("POST", BEAT, refusal(status, code))
    clock.now += 20.0
    assert heartbeat.renew_due() == 60.0
    assert lease.lost
    clock.now += 60.0
    heartbeat.renew_due()
    assert len(server.sent) == 1


def test_a_silent_server_is_tried_again_soon_with_one_attempt_each(heartbeat, lease, server, clock):
    server.on("POST", BEAT, httpx.ConnectError("refused"))
    clock.now += 20.0
    assert heartbeat.renew_due() == 2.0
    assert len(server.sent) == 1
    assert not lease.lost
    server.on("POST", BEAT, {"cancel": False, "lease_seconds": 60.0})
    clock.now += 2.0
    assert heartbeat.renew_due() == 20.0


def test_a_short_lease_is_tried_again_sooner(heartbeat, client, server, clock):
    lease = Lease(client, "/studies/s1/trials/0", "lease-0", 3.0, clock.now)
    heartbeat.add(lease)
    server.on("POST", BEAT, (503, None))
    clock.now += 1.0
    assert heartbeat.renew_due() == 0.5


def test_a_silent_server_is_asked_once_and_others_are_renewed_nevertheless(heartbeat, lease, client, server, clock):
    second = Lease(client, "/studies/s1/trials/1", "lease-1", 60.0, clock.now)
    heartbeat.add(second)
    beats = []
    from tpeak.transport import Client

    def other(request):
        beats.append(request.url.path)
        return httpx.Response(200, json={"cancel": False, "lease_seconds": 60.0})

    elsewhere = Lease(
        Client("http://localhost:2", transport=httpx.MockTransport(other)), "/studies/x/trials/5", "l", 60.0, clock.now
    )
    heartbeat.add(elsewhere)
    server.on("POST", BEAT, httpx.ConnectError("refused"))
    server.on("POST", "/studies/s1/trials/1/heartbeat", httpx.ConnectError("refused"))
    clock.now += 20.0
    assert heartbeat.renew_due() == 2.0
    assert len(server.sent) == 1
    assert beats == ["/api/v1/studies/x/trials/5/heartbeat"]


def test_a_refused_token_does_not_end_the_heartbeat(heartbeat, lease, server, clock):
    server.on("POST", BEAT, (401, None))
    clock.now += 20.0
    assert heartbeat.renew_due() == 20.0
    assert not lease.lost


def test_a_lease_that_nobody_holds_is_given_up(heartbeat, client, server, clock):
    heartbeat.add(Lease(client, "/studies/s1/trials/9", "lease-9", 60.0, clock.now))
    gc.collect()
    clock.now += 20.0
    assert heartbeat.renew_due() == 60.0
    assert server.sent == []


def test_a_dropped_lease_is_renewed_no_more(heartbeat, lease, server, clock):
    heartbeat.drop(lease)
    clock.now += 20.0
    heartbeat.renew_due()
    assert server.sent == []


def test_one_daemon_thread_renews_whatever_is_added(client, server):
    renewed = threading.Event()

    def answer(body):
        renewed.set()
        return {"cancel": False, "lease_seconds": 60.0}

    for number in range(2):
        server.on("POST", f"/studies/s1/trials/{number}/heartbeat", answer)
    heartbeat = Heartbeat()
    leases = []
    for number in range(2):
        renewed.clear()
        # Overdue as it comes: the thread must not sleep through its being added.
        leases.append(Lease(client, f"/studies/s1/trials/{number}", "l", 60.0, heartbeat.clock() - 30.0))
        heartbeat.add(leases[-1])
        assert renewed.wait(10.0)
    threads = [thread for thread in threading.enumerate() if thread is heartbeat._thread]
    assert len(threads) == 1
    assert threads[0].daemon


def test_the_thread_outlives_an_unforeseen_error(client, server, monkeypatch):
    monkeypatch.setattr("tpeak.heartbeat.RETRY_S", 0.0)
    renewed = threading.Event()

    def answer(body):
        renewed.set()
        return {"cancel": False, "lease_seconds": 60.0}

    server.on("POST", BEAT, {"unforeseen": True}, answer)
    heartbeat = Heartbeat()
    lease = Lease(client, "/studies/s1/trials/0", "l", 60.0, heartbeat.clock() - 30.0)
    heartbeat.add(lease)
    assert renewed.wait(10.0)


def test_a_forked_child_leaves_its_parents_leases_alone(heartbeat, lease, clock):
    clock.now += 20.0
    pid = os.fork()
    if pid == 0:
        os._exit(0 if heartbeat.renew_due() == 60.0 and heartbeat._thread is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
