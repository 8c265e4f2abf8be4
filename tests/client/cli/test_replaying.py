"""`tpeak study prune-replay`."""

import json

import pytest

from tpeak import catalog
from tpeak.cli import command

REPLAY = "/studies/s1/prune-replay"


@pytest.fixture(autouse=True)
def configured(connection, monkeypatch, server, study_of):
    monkeypatch.setattr(catalog, "connect", lambda storage=None: connection)
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})


def printed(capsys, *arguments):
    assert command.main(["study", "prune-replay", "digits", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_it_says_what_was_saved_and_which_trial_was_lost(server, replay_row, capsys):
    server.on("POST", REPLAY, replay_row())
    assert printed(capsys, "--pruner", "hyperband") == [
        "pruned 2 of 8 trials that reported",
        "saved 10 of 40 reports (25.0 %)",
        "saved 5 of 12.5 in cost (40.0 %)",
        "the best trial, 4 (0.25), would have been lost",
        "  step 2: still too bad",
        "the best one would be trial 6 (0.5)",
    ]
    assert server.bodies(REPLAY) == [{"pruner": {"name": "hyperband"}}]


def test_the_best_trial_may_have_been_kept_or_be_the_only_one(server, replay_row, capsys):
    kept = {"number": 6, "value": 0.5}
    server.on("POST", REPLAY, replay_row(best=kept, best_kept=kept, cost=None, cost_saved=None))
    assert printed(capsys, "--pruner", "median") == [
        "pruned 2 of 8 trials that reported",
        "saved 10 of 40 reports (25.0 %)",
        "the best trial, 6 (0.5), would have been kept",
    ]
    server.on("POST", REPLAY, replay_row(best_kept=None))
    assert printed(capsys, "--pruner", "median")[-1] == "no complete trial would be left that may be the best"


def test_settings_are_given_as_json(server, replay_row, capsys):
    server.on("POST", REPLAY, replay_row(best=None, best_kept=None, cost=0.0, cost_saved=0.0))
    lines = printed(capsys, "--pruner", '{"name": "median", "n_warmup_steps": 5}')
    assert server.bodies(REPLAY) == [{"pruner": {"name": "median", "n_warmup_steps": 5}}]
    assert lines[-1] == "saved 0 of 0 in cost (0 %)"


def test_a_study_without_reports_is_said_to_be_one(server, replay_row, capsys):
    server.on("POST", REPLAY, replay_row(trials=0, pruned=0, reports=0, saved=0, decisions=[]))
    nothing = ["no trial has reported anything: a pruner has nothing to decide on"]
    assert printed(capsys, "--pruner", "median") == nothing


def test_as_json_it_is_all_that_the_server_says(server, replay_row, capsys):
    row = replay_row(best={"number": 4, "value": "Infinity"})
    server.on("POST", REPLAY, row)
    (line,) = printed(capsys, "--pruner", "median", "--json")
    assert json.loads(line) == row


def test_what_is_no_json_and_what_no_pruner_is_an_error_without_a_traceback(server, refusal, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["study", "prune-replay", "digits", "--pruner", '{"name": median}'])
    assert (ended.value.code, server.bodies(REPLAY)) == (2, [])
    assert "this is no JSON" in capsys.readouterr().err
    server.on("POST", REPLAY, refusal(422, "invalid_request"))
    assert command.main(["study", "prune-replay", "digits", "--pruner", "medain"]) == 1
    assert capsys.readouterr().err == "tpeak: it is invalid_request\n"
