import json
import os
import pathlib
import random
import stat

import httpx
import pytest

from tpeak.errors import InvalidValue, ServerUnreachable, StudyNotFound, Unauthorized, UnexpectedReply
from tpeak.parcel import Parcel
from tpeak.spool import Fate, Spool

TELL = "/studies/s1/trials/0/tell"
BODY = {"lease": "l", "state": "complete", "values": [0.5]}
PARCEL = Parcel(url="http://127.0.0.1:8765", path=TELL, body=BODY)


@pytest.fixture
def kept(spool, client, server):
    """A tell that waits on disk for a server that is up again."""
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="will be sent later"):
        spool.deliver(client, PARCEL)
    server.sent.clear()
    server.on("POST", TELL, {"seq": 1})


def files(spool: Spool) -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(spool.folder.glob("*"))]


def readdress(spool: Spool, **fields: str) -> None:
    """Has the one file come from elsewhere."""
    (file,) = spool.folder.iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_what_is_delivered_leaves_nothing_on_disk(spool, client, server):
    server.on("POST", TELL, {"seq": 1})
    assert spool.deliver(client, PARCEL) == {"seq": 1}
    assert not spool.folder.exists()


def test_what_cannot_be_delivered_is_kept_and_the_user_told_where(spool, client, server):
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match=rf"kept in {spool.folder}/\S+\.json and will be sent later"):
        assert spool.deliver(client, PARCEL) is None
    assert files(spool) == [{"url": "http://127.0.0.1:8765", "path": TELL, "body": BODY}]


def test_only_the_user_may_read_it_and_no_token_is_in_it(kept, spool):
    (file,) = spool.folder.iterdir()
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in file.read_text()


def test_it_is_on_disk_while_it_is_retried_and_gone_when_delivered(spool, client, server):
    seen = []

    def answer(body):
        seen.append(files(spool))
        return {"seq": 1}

    server.on("POST", TELL, (503, None), (503, None), answer)
    assert spool.deliver(client, PARCEL) == {"seq": 1}
    assert [entry["body"] for entry in seen[0]] == [BODY]
    assert files(spool) == []


def test_an_interrupt_while_it_is_retried_loses_nothing(spool, client, server, clock, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    server.on("POST", TELL, (503, None))
    monkeypatch.setattr(client, "_sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        spool.deliver(client, PARCEL)
    assert len(files(spool)) == 1


def test_a_refused_token_is_raised_and_the_result_kept(spool, client, server):
    server.on("POST", TELL, (401, None))
    with pytest.raises(Unauthorized, match=r"Set TPEAK_TOKEN to a token .* then run `tpeak flush`"):
        spool.deliver(client, PARCEL)
    assert len(files(spool)) == 1


@pytest.mark.parametrize("answer", [(200, None), (404, None), (302, None, {"Location": "https://login"})])
def test_a_reply_that_is_not_the_servers_is_raised_and_the_result_kept(spool, client, server, answer):
    server.on("POST", TELL, answer)
    with pytest.raises(UnexpectedReply):
        spool.deliver(client, PARCEL)
    assert [entry["body"] for entry in files(spool)] == [BODY]


def test_a_process_that_ends_while_it_waits_for_the_reply_keeps_the_result(spool, client, server):
    def leave(body):
        raise SystemExit

    server.on("POST", TELL, leave)
    with pytest.raises(SystemExit):
        spool.deliver(client, PARCEL)
    assert len(files(spool)) == 1


def test_a_refused_result_is_raised_and_not_kept(spool, client, server, refusal):
    server.on("POST", TELL, (503, None), refusal(422, "invalid_value"))
    with pytest.raises(InvalidValue):
        spool.deliver(client, PARCEL)
    assert files(spool) == []


def test_a_result_for_a_study_that_the_server_does_not_know_is_raised_and_kept(spool, client, server, refusal):
    server.on("POST", TELL, refusal(404, "study_not_found"))
    with pytest.raises(StudyNotFound, match=rf"kept in {spool.folder}/\S+\.json, for when the server has its database"):
        spool.deliver(client, PARCEL)
    assert [file["body"] for file in files(spool)] == [BODY]


def test_where_the_disk_takes_nothing_the_error_is_raised(tmp_path, client, server):
    (tmp_path / "file").touch()
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="cannot be kept on disk"), pytest.raises(ServerUnreachable):
        Spool(tmp_path / "file" / "spool").deliver(client, PARCEL)


def test_what_is_kept_is_sent_again_and_then_removed(kept, spool, client, server):
    spool.resend(client)
    assert server.sent == [("POST", TELL, BODY)]
    assert files(spool) == []


def test_what_a_former_process_kept_is_sent_too(kept, spool, client, server):
    Spool(spool.folder).resend(client)
    assert server.bodies(TELL) == [BODY]
    assert files(spool) == []


def test_it_is_removed_where_the_server_has_another_result(kept, spool, client, server, refusal):
    server.on("POST", TELL, refusal(409, "already_finished"))
    spool.resend(client)
    assert files(spool) == []


def test_it_stays_while_the_server_is_out_of_reach(kept, spool, client, server):
    server.on("POST", TELL, (503, None), {"seq": 1})
    spool.resend(client)
    assert len(files(spool)) == 1
    spool.resend(client)
    assert files(spool) == []


def test_it_stays_with_one_warning_where_the_server_refuses_it(kept, spool, client, server, refusal):
    server.on("POST", TELL, refusal(404, "study_not_found"))
    with pytest.warns(UserWarning, match="cannot be sent: it is study_not_found"):
        spool.resend(client)
    assert len(server.sent) == 1
    assert len(files(spool)) == 1


def test_what_was_refused_is_tried_again_where_somebody_asks_for_a_look(kept, spool, client, server, refusal):
    server.on("POST", TELL, refusal(404, "study_not_found"), refusal(404, "study_not_found"), {"seq": 1})
    with pytest.warns(UserWarning, match="cannot be sent: it is study_not_found"):
        spool.resend(client)
    spool.resend(client, look=True)
    assert len(files(spool)) == 1
    spool.resend(client, look=True)
    assert files(spool) == []


def test_other_servers_results_are_left_alone(kept, spool, client, server):
    readdress(spool, url="https://other")
    spool.resend(client)
    assert server.sent == []
    assert len(files(spool)) == 1


@pytest.mark.parametrize(("incarnation", "sent"), [("first", [BODY]), ("another", [])])
def test_a_result_follows_its_database_to_another_port_of_this_machine(kept, spool, client, server, incarnation, sent):
    readdress(spool, url="http://127.0.0.1:40633", incarnation=incarnation)
    spool.resend(client)
    assert server.bodies(TELL) == sent
    assert len(files(spool)) == 1 - len(sent)


def test_a_result_follows_to_another_machine_only_where_the_user_names_it(kept, spool, client, server):
    readdress(spool, url="https://production", incarnation="first")
    spool.resend(client)
    assert server.sent == []
    assert [sending.fate for sending in spool.flush(client)] == [Fate.DELIVERED]
    assert server.bodies(TELL) == [BODY]


def test_a_result_from_what_is_no_url_is_left_alone(kept, spool, client, server, recwarn):
    readdress(spool, url="http://[", incarnation="first")
    spool.resend(client)
    assert (len(files(spool)), server.sent, recwarn.list) == (1, [], [])


def test_a_refused_token_is_said_of_what_may_be_for_this_server(kept, spool, client, server, refusal):
    readdress(spool, url="https://production", incarnation="first")
    server.on("GET", "/meta", refusal(401, "unauthorized"))
    assert [sending.fate for sending in spool.flush(client)] == [Fate.UNAUTHORIZED]


def test_a_server_that_does_not_say_which_database_it_has_gets_nothing_of_others(kept, spool, client, server, recwarn):
    readdress(spool, url="http://127.0.0.1:40633", incarnation="first")
    server.on("GET", "/meta", (404, None))
    spool.resend(client)
    assert [sending.fate for sending in spool.flush(client)] == [Fate.ELSEWHERE]
    assert (server.bodies(TELL), recwarn.list) == ([], [])


def test_a_writers_files_are_sent_in_their_order_and_the_writers_in_any(spool, client, server, monkeypatch):
    server.on("POST", TELL, {"seq": 1})
    spool.folder.mkdir()
    for name in ("1-7-a", "2-8-b", "3-7-c"):
        parcel = Parcel(url=PARCEL.url, path=TELL, body={"lease": name})
        (spool.folder / f"{name}.json").write_bytes(parcel.to_json())
    monkeypatch.setattr(random, "shuffle", list.reverse)
    spool.resend(client)
    assert [body["lease"] for body in server.bodies(TELL)] == ["2-8-b", "1-7-a", "3-7-c"]


def test_an_unreadable_file_does_not_stop_the_others(kept, spool, client, server):
    (spool.folder / "0-1-a.json").write_text("{")
    with pytest.warns(UserWarning, match=r"0-1-a\.json cannot be sent"):
        spool.resend(client)
    assert server.bodies(TELL) == [BODY]


def test_the_directory_is_read_only_where_something_may_be_there(kept, spool, client, server):
    spool.resend(client)
    (spool.folder / "1-2-b.json").write_text(json.dumps({"url": client.url, "path": TELL, "body": BODY}))
    server.sent.clear()
    spool.resend(client)
    assert server.sent == []
    spool.resend(client, look=True)
    assert server.bodies(TELL) == [BODY]


def test_a_file_that_another_process_sent_first_is_no_trouble(kept, spool, client, server):
    def taken(body):
        for file in spool.folder.iterdir():
            file.unlink()
        return {"seq": 1}

    server.on("POST", TELL, taken)
    spool.resend(client)
    assert files(spool) == []


def test_a_refused_token_is_met_once_with_one_warning(kept, spool, client, server):
    server.on("POST", TELL, (401, None))
    with pytest.warns(UserWarning, match="run `tpeak flush`"):
        spool.resend(client)
    spool.resend(client)
    assert len(server.sent) == 1
    assert len(files(spool)) == 1


def test_what_a_killed_writer_had_flushed_is_taken_up_and_the_rest_removed(kept, spool, client, server):
    (file,) = spool.folder.iterdir()
    whole, torn, young = (spool.folder / f"{name}.part" for name in ("1-whole", "2-torn", "3-young"))
    whole.write_bytes(file.read_bytes())
    torn.write_bytes(file.read_bytes()[:-5])
    young.write_bytes(b"")
    for part in (whole, torn):
        os.utime(part, (0, 0))
    fates = [sending.fate for sending in spool.flush(client)]
    assert fates == [Fate.DELIVERED, Fate.DELIVERED]
    assert [left.name for left in spool.folder.iterdir()] == ["3-young.part"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_disk_that_fails_leaves_nothing_half_done(spool, client, server, monkeypatch, step):
    def fail(*arguments):
        raise OSError("full")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (pathlib.Path, "rename")), fail)
    server.on("POST", TELL, httpx.ConnectError("refused"))
    with pytest.warns(UserWarning, match="cannot be kept on disk"), pytest.raises(ServerUnreachable):
        spool.deliver(client, PARCEL)
    assert not spool.folder.exists() or list(spool.folder.iterdir()) == []
