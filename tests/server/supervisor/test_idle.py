"""How long nobody has used the server."""

import asyncio
import time

from tpeak_server.supervisor.idle import IdleWatch


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def statuses(watch, *paths):
    sent = []

    async def ask():
        async def send(message):
            sent.append(message)

        for path in paths:
            await watch({"type": "http", "path": path}, None, send)

    asyncio.run(ask())
    return [message["status"] for message in sent if message["type"] == "http.response.start"]


def test_a_request_ends_idleness_and_a_health_check_does_not():
    watch = IdleWatch(answer)
    before = watch.idle_s
    assert statuses(watch, "/healthz", "/readyz") == [200, 200]
    assert watch.idle_s > before
    asked_at = time.monotonic()
    assert statuses(watch, "/api/v1/meta") == [200]
    assert watch.idle_s <= time.monotonic() - asked_at


def test_a_request_under_way_is_no_idleness():
    async def scenario():
        entered, leave = asyncio.Event(), asyncio.Event()

        async def wait(scope, receive, send):
            entered.set()
            await leave.wait()

        watch = IdleWatch(wait)
        request = asyncio.create_task(watch({"type": "http", "path": "/api/v1/studies"}, None, None))
        await entered.wait()
        during = (watch.idle_s, watch.busy)
        leave.set()
        await request
        return during, watch.idle_s, watch.busy

    during, after, busy_after = asyncio.run(scenario())
    assert during == (0, True)
    assert after > 0
    assert not busy_after


def test_a_server_that_is_leaving_is_alive_but_takes_no_request_any_more():
    watch = IdleWatch(answer)
    watch.leaving = True
    assert statuses(watch, "/api/v1/meta", "/healthz", "/readyz") == [503, 200, 503]
