"""A study's settings, changed while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

Study = Any  # of conftest.py, which no module can import
Service = Any
Clock = Any
MakeStudy = Callable[..., Study]


def change(study: Study, key: str | None = None, *, replica: int = 0, **settings: Any) -> httpx.Response:
    body = {"request_id": key or study.service.key(), **settings}
    reply: httpx.Response = study.service.send("PATCH", study.path, body, replica=replica)
    return reply


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def test_settings_are_replaced_and_attributes_merged(study: Study) -> None:
    change(study, user_attrs={"a": 1, "b": 1}, tags=["old"], note="old")
    changed = change(study, user_attrs={"b": 2}, tags=["new"], note="", max_trials=5, replica=1).json()
    assert (changed["user_attrs"], changed["tags"], changed["note"]) == ({"a": 1, "b": 2}, ["new"], "")
    assert changed["max_trials"] == 5
    assert study.get() == changed


def test_a_limit_is_lifted_by_null(make_study: MakeStudy) -> None:
    study = make_study(max_trials=1, timeout_s=10.0)
    changed = change(study, max_trials=None, timeout_s=None).json()
    assert (changed["max_trials"], changed["timeout_s"]) == (None, None)
    assert len(study.ask(count=5, replica=1)) == 5


def test_another_sampler_takes_over_at_the_next_ask_on_both_replicas(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "tpe", "n_startup_trials": 0})
    study.finish(1.0)
    assert [study.trial(replica=replica)["origin"] for replica in (0, 1)] == ["tpe", "tpe"]
    assert change(study, sampler={"name": "random"}).json()["sampler"] == {"name": "random", "deduplicate": True}
    assert [study.trial(replica=replica)["origin"] for replica in (0, 1)] == ["random", "random"]


def test_another_pruner_judges_from_the_next_report_on_on_both_replicas(make_study: MakeStudy) -> None:
    study = make_study(pruner={"name": "nop"})
    peer, first, second = study.ask(count=3)
    for step in (0, 1):
        study.report(peer, step, 1.0)
    study.tell(peer, values=[1.0])
    verdicts = [
        study.report(trial, 0, 2.0, replica=replica).json()["prune"] for replica, trial in enumerate((first, second))
    ]
    assert verdicts == [False, False]
    change(study, pruner={"name": "median", "n_startup_trials": 1})
    verdicts = [
        study.report(trial, 1, 2.0, replica=replica).json()["prune"] for replica, trial in enumerate((first, second))
    ]
    assert verdicts == [True, True]


def test_fewer_attempts_count_from_the_next_expiry_on(make_study: MakeStudy, clock: Clock) -> None:
    study = make_study(lease_seconds=10.0, max_attempts=3)
    study.trial()
    change(study, max_attempts=1, replica=1)
    clock.live(11)
    assert study.state(0) == "lost"


def test_a_repeated_change_does_not_undo_what_came_after(study: Study) -> None:
    for key, note in (("first", "a"), ("second", "b"), ("first", "a")):
        for replica in (0, 1):
            assert change(study, key, note=note, replica=replica).status_code == 200
    assert (study.get()["note"], study.get()["seq"]) == ("b", 3)


def test_the_key_of_a_change_stands_for_its_content(study: Study) -> None:
    change(study, "key", note="a")
    for replica in (0, 1):
        assert refused(change(study, "key", note="b", replica=replica)) == (422, "request_id_reused")
    assert study.get()["note"] == "a"


def test_what_a_study_is_about_cannot_be_changed(study: Study) -> None:
    for settings in ({"directions": ["maximize"]}, {"seed": 1}, {"space": {}}, {"state": "paused"}):
        assert refused(change(study, **settings)) == (422, "invalid_request")
    assert study.get()["seq"] == 1


def test_settings_without_sense_are_refused(study: Study) -> None:
    for settings in (
        {"sampler": {"name": "oracle"}},
        {"pruner": {"name": "median", "n_startup_trials": -1}},
        {"lease_seconds": 0.1},
        {"max_attempts": 0},
        {"max_trials": 0},
        {"name": ""},
    ):
        assert refused(change(study, **settings)) == (422, "invalid_request")


def test_an_archived_study_cannot_be_changed(study: Study) -> None:
    study.service.send("DELETE", study.path)
    for replica in (0, 1):
        assert refused(change(study, note="a", replica=replica)) == (409, "study_archived")


def test_a_study_may_be_given_the_name_that_it_has(study: Study) -> None:
    name = study.get()["name"]
    assert change(study, name=name).status_code == 200
    found = study.service.send("GET", "/studies", name=name).json()["studies"]
    assert [one["id"] for one in found] == [study.id]


def test_simultaneous_changes_through_two_replicas_are_all_kept(service: Service, study: Study) -> None:
    bodies = [{"request_id": service.key(), "user_attrs": {f"key {n}": n}} for n in range(30)]
    replies = service.race([("PATCH", study.path, body) for body in bodies])
    assert {reply.status_code for reply in replies} == {200}
    assert study.get()["user_attrs"] == {f"key {n}": n for n in range(30)}


def test_distances_must_fit_the_choices_of_the_declared_space(service: Service) -> None:
    space = {"solver": {"type": "categorical", "choices": ["adam", "sgd"]}}

    def sampler(size: int) -> dict[str, Any]:
        matrix = [[abs(row - column) for column in range(size)] for row in range(size)]
        return {"name": "tpe", "categorical_distance": {"solver": matrix, "later": [[0]]}}

    body = {"request_id": service.key(), "name": "distant", "space": space, "sampler": sampler(3)}
    reply = service.send("POST", "/studies", body)
    assert refused(reply) == (422, "invalid_request")
    assert reply.json()["where"] == "/sampler/categorical_distance/solver"
    made = service.send("POST", "/studies", {**body, "sampler": sampler(2)}).json()["study"]
    assert made["sampler"]["categorical_distance"] == {"solver": [[0.0, 1.0], [1.0, 0.0]], "later": [[0.0]]}
    path = f"/studies/{made['id']}"
    assert refused(service.send("PATCH", path, {"request_id": service.key(), "sampler": sampler(100)})) == (
        422,
        "invalid_request",
    )
    assert service.send("PATCH", path, {"request_id": service.key(), "sampler": sampler(2)}).status_code == 200
