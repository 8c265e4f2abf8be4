"""Two servers on one listening socket hand each other the connections that are for the other one's studies."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tpeak_server.supervisor.handover import LARGEST, Neighbours
from tpeak_server.supervisor.idle import IdleWatch
from tpeak_server.supervisor.serving import DrainingServer

STUDIES = ("0000000000004", "0000000000001")
"""Of the first and of the second of two processes."""


class Place:
    """A process of the two: its server runs in a thread, and answers with its place and what it was sent."""

    def __init__(self, folder: Path, place: int, listener: socket.socket) -> None:
        self.place = place
        self._address = folder / str(place)
        self.server = DrainingServer(IdleWatch(self._answer), None, Neighbours(folder, place, 2))
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener.dup()]}, daemon=True)
        self._thread.start()

    def expect_started(self) -> None:
        while not self._address.exists():
            self._thread.join(0.01)
            assert self._thread.is_alive()

    def end(self) -> None:
        self.server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        reply = json.dumps({"place": self.place, "path": scope["path"], "bytes": len(body)}).encode()
        headers = [(b"content-length", str(len(reply)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": reply})


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def places(tmp_path: Path, listener: socket.socket) -> Iterator[list[Place]]:
    both = [Place(tmp_path, place, listener) for place in (0, 1)]
    for place in both:
        place.expect_started()
    yield both
    for place in both:
        place.end()


@pytest.fixture
def connection(places: list[Place], listener: socket.socket) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(*listener.getsockname(), timeout=30)
    yield connection
    connection.close()


def sent(connection: http.client.HTTPConnection, path: str, body: bytes = b"") -> Any:
    connection.request("POST", path, body)
    return json.loads(connection.getresponse().read())


def test_each_study_has_its_process_whichever_was_connected_to(places: list[Place], listener: socket.socket) -> None:
    for _ in range(8):
        for place, study in enumerate(STUDIES):
            fresh = http.client.HTTPConnection(*listener.getsockname(), timeout=30)
            path = f"/api/v1/studies/{study}/ask"
            assert sent(fresh, path, b"body") == {"place": place, "path": path, "bytes": 4}
            fresh.close()


def test_a_connection_goes_back_and_forth(connection: http.client.HTTPConnection) -> None:
    places = [sent(connection, f"/api/v1/studies/{STUDIES[turn % 2]}/ask")["place"] for turn in range(6)]
    assert places == [0, 1, 0, 1, 0, 1]


def test_a_connection_stays_where_it_is_for_what_is_of_no_study(connection: http.client.HTTPConnection) -> None:
    for place, study in enumerate(STUDIES):
        sent(connection, f"/api/v1/studies/{study}/ask")
        assert sent(connection, "/api/v1/workers")["place"] == place


def test_the_rest_of_a_long_body_follows_its_connection(connection: http.client.HTTPConnection) -> None:
    for place, study in enumerate(STUDIES):
        answer = sent(connection, f"/api/v1/studies/{study}/trials", b"x" * 900_000)
        assert answer["bytes"] == 900_000
        assert sent(connection, f"/api/v1/studies/{study}/ask")["place"] == place


def test_a_body_that_looks_like_a_request_is_a_body(connection: http.client.HTTPConnection) -> None:
    for place, study in enumerate(STUDIES):
        sent(connection, f"/api/v1/studies/{study}/ask")
        inner = f"POST /api/v1/studies/{STUDIES[1 - place]}/ask HTTP/1.1\r\n\r\n".encode()
        connection.putrequest("POST", f"/api/v1/studies/{study}/ask")
        connection.putheader("content-length", str(len(inner)))
        connection.endheaders()
        connection.send(inner)  # a segment of its own
        assert json.loads(connection.getresponse().read())["bytes"] == len(inner)
        assert sent(connection, "/api/v1/workers")["place"] == place


def test_what_the_other_process_does_not_take_is_answered_here(
    places: list[Place], connection: http.client.HTTPConnection
) -> None:
    sent(connection, f"/api/v1/studies/{STUDIES[0]}/ask")
    places[1].end()
    assert sent(connection, f"/api/v1/studies/{STUDIES[1]}/ask")["place"] == 0


def test_a_request_of_which_too_much_was_read_stays(tmp_path: Path) -> None:
    neighbours = Neighbours(tmp_path, 0, 2)
    request = f"POST /api/v1/studies/{STUDIES[1]}/trials HTTP/1.1\r\n".encode()
    assert neighbours.elsewhere(request) == 1
    assert neighbours.elsewhere(request.ljust(LARGEST + 1)) is None
