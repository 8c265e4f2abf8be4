"""`tpeak flush`."""

import json

import httpx
import pytest

from tpeak import connection as connection_module
from tpeak.cli import command, flush
from tpeak.parcel import Parcel

TELL = "/studies/s1/trials/0/tell"


@pytest.fixture(autouse=True)
def configured(connection, monkeypatch):
    monkeypatch.setattr(flush, "connect", lambda: connection)
    monkeypatch.setattr(connection_module, "_connections", {})


@pytest.fixture
def kept(spool, client, server):
    """Two results that wait for the server, which is up again."""
    server.on("POST", TELL, httpx.ConnectError("refused"))
    for value in (0.25, 0.5):
        body = {"lease": "l", "state": "complete", "values": [value]}
        with pytest.warns(UserWarning, match="will be sent later"):
            spool.deliver(client, Parcel(url=client.url, path=TELL, body=body))
    server.sent.clear()
    server.on("POST", TELL, {"seq": 1})


def test_everything_is_sent_with_a_line_each_and_nothing_left(kept, spool, server, capsys):
    assert command.main(["flush"]) == 0
    first, second, summary = capsys.readouterr().out.splitlines()
    assert first.endswith(".json: delivered")
    assert second.endswith(".json: delivered")
    assert summary == f"2 sent to http://127.0.0.1:8765, 0 left in {spool.folder}"
    assert [body["values"] for body in server.bodies(TELL)] == [[0.25], [0.5]]


def test_a_second_time_there_is_nothing_to_do(kept, server, capsys):
    command.main(["flush"])
    assert command.main(["flush"]) == 0
    assert len(server.bodies(TELL)) == 2


def test_a_result_that_the_server_has_otherwise_is_said_and_done_with(kept, server, refusal, capsys):
    server.on("POST", TELL, refusal(409, "already_finished"))
    assert command.main(["flush"]) == 0
    assert "not needed: it is already_finished" in capsys.readouterr().out


def test_a_server_that_is_out_of_reach_is_tried_once_and_everything_left(kept, spool, server, capsys):
    server.on("POST", TELL, httpx.ConnectError("refused"))
    assert command.main(["flush"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert all("left: no answer: no answer from http://127.0.0.1:8765" in line for line in out[:2])
    assert out[2].startswith("0 sent to http://127.0.0.1:8765, 2 left in")
    assert len({body["values"][0] for body in server.bodies(TELL)}) == 1
    assert len(list(spool.folder.iterdir())) == 2


def test_a_refused_token_says_how_to_go_on(kept, server, capsys):
    server.on("POST", TELL, (401, None))
    assert command.main(["flush"]) == 1
    assert "set TPEAK_TOKEN" in capsys.readouterr().out
    assert len(server.bodies(TELL)) == 1


def test_what_is_for_another_server_is_named_and_left(kept, spool, server, capsys):
    file = min(spool.folder.iterdir())
    file.write_text(json.dumps(json.loads(file.read_text()) | {"url": "https://other"}))
    assert command.main(["flush"]) == 1
    out = capsys.readouterr().out
    assert f"{file.name}: left for another server: https://other" in out
    assert "1 sent to http://127.0.0.1:8765, 1 left" in out


def test_what_cannot_be_read_is_left_for_the_user(kept, spool, capsys):
    (spool.folder / "0-1-a.json").write_text('{"url"')
    assert command.main(["flush"]) == 1
    assert "0-1-a.json: left: it cannot be sent" in capsys.readouterr().out
