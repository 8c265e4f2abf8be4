"""Reading trials: one, pages of them, the best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]
X = {"type": "float", "low": 0.0, "high": 1.0}


def add(study: Study, *trials: dict[str, Any]) -> None:
    assert study.post("trials", {"request_id": study.service.key(), "trials": list(trials)}).status_code == 201


def complete(*values: Any, **more: Any) -> dict[str, Any]:
    return {"state": "complete", "values": list(values), **more}


def numbers(page: dict[str, Any]) -> list[int]:
    return [trial["number"] for trial in page["trials"]]


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


@pytest.fixture
def mixed(make_study: MakeStudy, clock: Clock) -> Study:
    """A study with one trial in each state: lost, complete, pruned, failed, running and waiting."""
    study = make_study(lease_seconds=10.0, max_attempts=1)
    study.trial()
    clock.live(11)
    done, pruned, failed, _, released = study.ask(count=5)
    study.tell(done, values=[1.0])
    study.tell(pruned, "pruned", values=[2.0])
    study.tell(failed, "failed")
    study.of(released, "release", {})
    return study


def test_pages_follow_one_another_until_there_are_no_more(study: Study) -> None:
    study.ask(count=7)
    pages, after = [], -1
    while after is not None:
        page = study.get("/trials", limit=3, after=after)
        pages.append(numbers(page))
        after = page["next"]
    assert pages == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_page_that_ends_with_the_study_may_be_followed_by_an_empty_one(study: Study) -> None:
    study.ask(count=3)
    page = study.get("/trials", limit=3)
    assert (numbers(page), page["next"]) == ([0, 1, 2], 2)
    page = study.get("/trials", limit=3, after=2)
    assert (page["trials"], page["next"]) == ([], None)


@pytest.mark.parametrize("state", ["lost", "complete", "pruned", "failed", "running", "waiting"])
def test_trials_are_filtered_by_state(mixed: Study, state: str) -> None:
    place = ["lost", "complete", "pruned", "failed", "running", "waiting"].index(state)
    assert numbers(mixed.get("/trials", state=state)) == [place]
    assert mixed.get()["counts"][state] == 1


def test_several_states_may_be_asked_for(mixed: Study) -> None:
    assert numbers(mixed.get("/trials", state=["complete", "waiting"])) == [1, 5]


def test_what_has_changed_after_a_seq_is_found_whatever_the_change(service: Service, study: Study) -> None:
    trials = study.ask(count=6)
    seqs = [study.get()["seq"]]
    changes: list[Callable[[], Any]] = [
        lambda: study.report(trials[0], 0, 1.0),
        lambda: study.of(trials[1], "suggest", {"name": "y", "distribution": X}),
        lambda: study.tell(trials[2], values=[1.0]),
        lambda: study.of(trials[3], "release", {}),
        lambda: service.send("PATCH", f"{study.path}/trials/4", {"request_id": "r", "user_attrs": {"a": 1}}),
        lambda: study.of(trials[5], "heartbeat", {}),
    ]
    for change in changes:
        assert change().status_code == 200
        seqs.append(study.get()["seq"])
    found = [numbers(study.get("/trials", since_seq=seq)) for seq in seqs]
    assert found == [[0, 1, 2, 3, 4], [1, 2, 3, 4], [2, 3, 4], [3, 4], [4], [], []]


def test_a_reader_sees_every_write_that_was_acknowledged_and_none_from_the_future(study: Study) -> None:
    seq = study.tell(study.trial(), values=[1.0]).json()["seq"]
    page = study.get("/trials", min_seq=seq, replica=1)
    assert (page["trials"][0]["state"], page["seq"]) == ("complete", seq)
    reply = study.service.send("GET", f"{study.path}/trials", min_seq=seq + 1)
    assert refused(reply) == (503, "database_unavailable")
    assert reply.headers["Retry-After"]


def test_columns_hold_what_rows_hold(study: Study) -> None:
    add(
        study,
        complete("Infinity", params={"x": 0.5}, distributions={"x": X}),
        {"state": "failed"},
        complete(-0.0, params={"y": 0.25, "x": 1.0}, distributions={"y": X, "x": X}),
    )
    page = study.get("/trials", form="columns", limit=3)
    assert page["number"] == [0, 1, 2]
    assert page["state"] == ["complete", "failed", "complete"]
    assert repr(page["values"]) == repr([["Infinity"], None, [-0.0]])
    assert page["params"] == {"x": [0.5, None, 1.0], "y": [None, None, 0.25]}
    assert (page["next"], page["seq"]) == (2, study.get()["seq"])


def test_times_tell_of_a_trial_s_life(study: Study) -> None:
    add(study, {})
    waiting = study.get("/trials/0")
    assert (waiting["started_at"], waiting["finished_at"]) == (None, None)
    trial = study.trial()
    running = study.get("/trials/0")
    study.tell(trial, values=[1.0])
    done = study.get("/trials/0")
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert (running["started_at"], running["finished_at"]) == (done["started_at"], None)


def test_an_unknown_trial_is_not_found(service: Service, study: Study) -> None:
    assert refused(service.send("GET", f"{study.path}/trials/0")) == (404, "trial_not_found")


@pytest.mark.parametrize(
    ("direction", "values", "best"),
    [
        ("minimize", [2.0, 1.0, 3.0], 1),
        ("maximize", [2.0, 1.0, 3.0], 2),
        ("minimize", [1.0, 0.5, 0.5, 0.5], 1),
        ("maximize", [1.0, 3.0, 3.0], 1),
        ("minimize", ["-Infinity", 5.0, "Infinity"], 1),
        ("maximize", ["Infinity", 5.0, "-Infinity"], 1),
        ("minimize", [0.0, -0.0], 0),
        ("maximize", [-0.0, 0.0], 0),
        ("minimize", [5e-324, 0.0, 1.0], 1),
        ("maximize", [-1.7976931348623157e308, -1e308], 1),
    ],
)
def test_the_best_is_the_first_of_the_best_finite_ones(
    make_study: MakeStudy, direction: str, values: list[Any], best: int
) -> None:
    study = make_study(directions=[direction])
    add(study, *map(complete, values))
    found = study.get("/best", replica=1)
    assert (found["number"], found["values"]) == (best, [values[best]])


def test_only_complete_trials_can_be_the_best(mixed: Study) -> None:
    add(mixed, {"state": "pruned", "values": [0.0]}, {"state": "failed"})
    assert mixed.get("/best")["number"] == 1


def test_a_study_without_a_finite_complete_trial_has_no_best(service: Service, study: Study) -> None:
    add(study, complete("Infinity"), complete("-Infinity"), {"state": "pruned", "values": [1.0]})
    assert refused(service.send("GET", f"{study.path}/best")) == (404, "no_complete_trial")


def test_a_study_of_several_objectives_has_no_single_best(service: Service, make_study: MakeStudy) -> None:
    study = make_study(directions=["minimize", "maximize"])
    add(study, complete(1.0, 2.0))
    assert refused(service.send("GET", f"{study.path}/best")) == (422, "invalid_request")
