"""`tpeak trial explain`."""

import pytest

from tpeak import catalog
from tpeak.cli import command

EXPLAIN = "/studies/s1/trials/7/explain"


@pytest.fixture(autouse=True)
def configured(connection, monkeypatch, server, study_of):
    monkeypatch.setattr(catalog, "connect", lambda storage=None: connection)
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})


def test_an_explanation_is_printed(server, explanation_row, capsys):
    server.on("GET", EXPLAIN, explanation_row())
    assert command.main(["trial", "explain", "digits", "7"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "trial 7: tpe by tpe-1, with 11 trials finished and 2 pending",
        "score 1.25, of 24 candidates",
        "  x = 0.25  (log density: good 0.500, bad -inf)",
        "  depth = 3  (sampled after the ask)",
        "  near trial 4: complete 0.5, distance 0.250",
        "  near trial 5: pruned without a value, distance 0.500",
        "drawn again: same",
        "  deleted since: trial 2",
    ]


def test_a_trial_that_nobody_drew_says_so(server, explanation_row, capsys):
    replay = {"outcome": "not drawn", "reasons": ["it was enqueued"], "notes": [], "params": None}
    row = explanation_row(origin="enqueued", version=None, score=None, densities={}, late={}, nearest=[], replay=replay)
    server.on("GET", EXPLAIN, row)
    assert command.main(["trial", "explain", "digits", "7"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "trial 7: enqueued, with 11 trials finished and 2 pending",
        "  x = 0.25",
        "  depth = 3",
        "drawn again: not drawn",
        "  it was enqueued",
    ]


def test_trials_of_other_studies_are_counted_where_there_are_any(server, explanation_row, capsys):
    server.on("GET", EXPLAIN, explanation_row(warm=40))
    assert command.main(["trial", "explain", "digits", "7"]) == 0
    first = "trial 7: tpe by tpe-1, with 11 trials finished and 2 pending beside 40 of other studies"
    assert capsys.readouterr().out.splitlines()[0] == first


def test_a_trial_that_is_not_there_is_an_error_without_a_traceback(server, refusal, capsys):
    server.on("GET", EXPLAIN, refusal(404, "trial_not_found"))
    assert command.main(["trial", "explain", "digits", "7"]) == 1
    assert capsys.readouterr().err == "tpeak: it is trial_not_found\n"
