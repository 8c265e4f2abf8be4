"""`tpeak study` and `tpeak trial`."""

import pytest

from tpeak import catalog
from tpeak.cli import command


@pytest.fixture(autouse=True)
def configured(connection, monkeypatch, server, study_of):
    monkeypatch.setattr(catalog, "connect", lambda storage=None: connection)
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})


@pytest.mark.parametrize(
    ("verb", "state"), [("pause", "paused"), ("stop", "stopped"), ("cancel", "cancelled"), ("resume", "open")]
)
def test_a_study_is_controlled_by_its_name(server, study_of, capsys, verb, state):
    server.on("POST", f"/studies/s1/{verb}", study_of(state=state))
    assert command.main(["study", verb, "digits"]) == 0
    assert capsys.readouterr().out == f"study digits is {state}\n"
    (body,) = server.bodies(f"/studies/s1/{verb}")
    assert list(body) == ["request_id"]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["cancel", "digits", "7"], {"action": "cancel"}),
        (["fail", "digits", "7", "--cause", "bad node"], {"action": "fail", "cause": "bad node"}),
        (["retry", "digits", "7"], {"action": "retry"}),
        (["exempt", "digits", "7"], {"action": "exempt"}),
    ],
)
def test_a_trial_is_acted_on_by_its_number(server, row_of, capsys, arguments, fields):
    server.on("PATCH", "/studies/s1/trials/7", row_of(7))
    assert command.main(["trial", *arguments]) == 0
    assert capsys.readouterr().out == f"trial 7 of study digits: {arguments[0]} is done\n"
    (body,) = server.bodies("/studies/s1/trials/7")
    assert len(body.pop("request_id")) == 32
    assert body == fields


def test_a_trial_is_deleted(server):
    server.on("DELETE", "/studies/s1/trials/7", (204, None))
    assert command.main(["trial", "delete", "digits", "7"]) == 0
    assert server.paths()[-1] == "DELETE /studies/s1/trials/7"


def test_a_study_that_is_not_there_is_an_error_without_a_traceback(server, capsys):
    server.on("GET", "/studies", {"studies": [], "next": None})
    assert command.main(["study", "pause", "digits"]) == 1
    assert capsys.readouterr().err == "tpeak: http://127.0.0.1:8765 has no study named 'digits'\n"


def test_a_refusal_is_shown(server, refusal, capsys):
    server.on("PATCH", "/studies/s1/trials/7", refusal(409, "already_finished"))
    assert command.main(["trial", "fail", "digits", "7"]) == 1
    assert capsys.readouterr().err == "tpeak: it is already_finished\n"


@pytest.mark.parametrize(
    "arguments", [["study"], ["study", "pause"], ["trial", "fail", "digits"], ["trial", "fail", "digits", "x"]]
)
def test_what_is_missing_is_said(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
