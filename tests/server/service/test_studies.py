"""Making studies, loading them, and what their names are worth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any

AUTO = {"name": "auto", "n_startup_trials": 10, "deduplicate": True}


def create(service: Service, name: str, key: str | None = None, *, replica: int = 0, **more: Any) -> httpx.Response:
    body = {"request_id": key or service.key(), "name": name, **more}
    reply: httpx.Response = service.send("POST", "/studies", body, replica=replica)
    return reply


def named(service: Service, name: str) -> list[str]:
    return [study["id"] for study in service.send("GET", "/studies", name=name).json()["studies"]]


def test_of_500_simultaneous_creators_one_makes_the_study_and_all_get_it(api: httpx.Client) -> None:
    def creator(number: int) -> tuple[int, str, bool]:
        body = {"request_id": f"creator-{number}", "name": "crowded", "if_exists": "load"}
        while (reply := api.post("/studies", json=body)).status_code == 503:
            pass  # the same request again, as every client does that is told so
        return reply.status_code, reply.json()["study"]["id"], reply.json()["created"]

    with ThreadPoolExecutor(50) as threads:
        replies = list(threads.map(creator, range(500)))
    assert len({study for _, study, _ in replies}) == 1
    assert sorted(created for *_, created in replies) == [False] * 499 + [True]
    assert sorted(status for status, *_ in replies) == [200] * 499 + [201]


def test_of_many_creators_on_two_replicas_who_would_not_load_one_succeeds(service: Service) -> None:
    bodies = [{"request_id": f"rival-{number}", "name": "rivals"} for number in range(40)]
    replies = service.race([("POST", "/studies", body) for body in bodies])
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 39
    assert {reply.json()["code"] for reply in replies if reply.status_code == 409} == {"study_exists"}


def test_a_study_without_settings_has_the_defaults(service: Service) -> None:
    study = create(service, "defaults").json()["study"]
    assert study["directions"] == ["minimize"]
    assert study["sampler"] == AUTO
    assert study["pruner"]["name"] == "median"
    assert (study["state"], study["max_trials"], study["timeout_s"]) == ("open", None, None)
    assert (study["lease_seconds"], study["max_attempts"], study["seq"]) == (60.0, 3, 1)
    assert sum(study["counts"].values()) == 0


def test_the_last_of_as_many_objectives_as_a_study_may_have_can_be_pruned_on(service: Service) -> None:
    pruner = {"name": "median", "objective": 15}
    assert create(service, "many", directions=["minimize"] * 16, pruner=pruner).status_code == 201
    refused = create(service, "too many", directions=["minimize"] * 17)
    assert (refused.status_code, refused.json()["where"]) == (422, "/directions")


def test_who_loads_with_other_settings_is_told_what_differs_and_what_is_stored_stays(service: Service) -> None:
    x = {"type": "int", "low": 1, "high": 8}
    create(service, "contradicted", directions=["minimize"], seed=7, max_trials=10, space={"x": x}, note="first")
    reply = create(
        service,
        "contradicted",
        if_exists="load",
        directions=["maximize"],
        seed=7,
        max_trials=20,
        space={"x": {**x, "high": 9}},
        lease_seconds=30.0,
        sampler={"name": "random"},
        note="second",
    )
    assert reply.status_code == 200
    assert reply.json()["created"] is False
    assert sorted(reply.json()["differences"], key=lambda difference: difference["field"]) == [
        {"field": "directions", "stored": ["minimize"], "asked": ["maximize"]},
        {"field": "lease_seconds", "stored": 60.0, "asked": 30.0},
        {"field": "max_trials", "stored": 10, "asked": 20},
        {
            "field": "sampler",
            "stored": AUTO,
            "asked": {"name": "random", "deduplicate": True},
        },
        {"field": "space", "stored": {"x": x}, "asked": {"x": {**x, "high": 9}}},
    ]
    stored = reply.json()["study"]
    assert (stored["directions"], stored["max_trials"], stored["note"]) == (["minimize"], 10, "first")


def test_a_setting_that_was_not_given_or_is_spelled_out_with_its_default_differs_from_nothing(service: Service) -> None:
    create(service, "agreed", seed=7)
    sampler = {"name": "auto", "n_startup_trials": 10}
    assert create(service, "agreed", if_exists="load", sampler=sampler).json()["differences"] == []


def test_a_creation_that_is_repeated_gets_the_first_answer_from_either_replica(service: Service) -> None:
    first = create(service, "repeated", "the same", seed=1)
    again = create(service, "repeated", "the same", seed=1, replica=1)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()


@pytest.mark.parametrize("other", [{"seed": 2}, {"directions": ["maximize"]}, {"if_exists": "load"}, {"note": "n"}])
def test_the_request_id_of_a_creation_stands_for_its_settings(service: Service, other: dict[str, Any]) -> None:
    name = f"reused for {other}"
    create(service, name, name)
    reply = create(service, name, name, **other)
    assert (reply.status_code, reply.json()["code"], reply.json()["where"]) == (422, "request_id_reused", "/request_id")


def test_a_taken_name_is_refused_where_it_is_not_to_be_loaded(service: Service) -> None:
    create(service, "taken")
    reply = create(service, "taken")
    assert (reply.status_code, reply.json()["code"], reply.json()["where"]) == (409, "study_exists", "/name")


def test_the_name_of_an_archived_study_is_free_again_and_the_study_can_still_be_read(service: Service) -> None:
    old = create(service, "phoenix").json()["study"]["id"]
    assert service.send("DELETE", f"/studies/{old}").status_code == 204
    assert named(service, "phoenix") == []
    new = create(service, "phoenix").json()
    assert new["created"] is True
    assert new["study"]["id"] != old
    assert named(service, "phoenix") == [new["study"]["id"]]
    kept = service.send("GET", f"/studies/{old}").json()
    assert (kept["name"], kept["state"]) == ("phoenix", "archived")


def test_a_study_can_be_archived_twice_and_its_successor_keeps_the_name(service: Service) -> None:
    old = create(service, "twice").json()["study"]["id"]
    service.send("DELETE", f"/studies/{old}")
    new = create(service, "twice").json()["study"]["id"]
    assert service.send("DELETE", f"/studies/{old}", replica=1).status_code == 204
    assert named(service, "twice") == [new]


def test_a_renamed_study_is_found_by_its_new_name_and_leaves_the_old_one_free(service: Service) -> None:
    study = create(service, "maiden").json()["study"]["id"]
    changed = service.send("PATCH", f"/studies/{study}", {"request_id": service.key(), "name": "married"})
    assert changed.json()["name"] == "married"
    assert (named(service, "maiden"), named(service, "married")) == ([], [study])
    assert create(service, "maiden").status_code == 201


def test_no_study_takes_the_name_of_another(service: Service) -> None:
    create(service, "owner")
    study = create(service, "envious").json()["study"]["id"]
    reply = service.send("PATCH", f"/studies/{study}", {"request_id": service.key(), "name": "owner", "note": "mine"})
    assert (reply.status_code, reply.json()["code"], reply.json()["where"]) == (409, "study_exists", "/name")
    kept = service.send("GET", f"/studies/{study}").json()
    assert (kept["name"], kept["note"], kept["seq"]) == ("envious", "", 1)


def test_of_many_who_rename_to_one_name_one_gets_it(service: Service) -> None:
    studies = [create(service, f"candidate {number}").json()["study"]["id"] for number in range(8)]
    body = {"request_id": "rename", "name": "elected"}
    replies = service.race([("PATCH", f"/studies/{study}", body) for study in studies])
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert len(named(service, "elected")) == 1


def test_studies_are_listed_by_name_in_pages_without_the_archived_ones(service: Service) -> None:
    studies = {name: create(service, name).json()["study"]["id"] for name in ("~ c", "~ a", "~ d", "~ b")}
    service.send("DELETE", f"/studies/{studies['~ b']}")
    first = service.send("GET", "/studies", after="~", limit=2).json()
    assert ([study["name"] for study in first["studies"]], first["next"]) == (["~ a", "~ c"], "~ c")
    second = service.send("GET", "/studies", after=first["next"], limit=2).json()
    assert ([study["name"] for study in second["studies"]], second["next"]) == (["~ d"], None)


def test_an_unknown_study_is_not_found(service: Service) -> None:
    for path in ("/studies/0000000000000", "/studies/0000000000000/best", "/studies/nonsense"):
        reply = service.send("GET", path)
        assert (reply.status_code, reply.json()["code"]) == (404, "study_not_found")
    reply = service.send("POST", "/studies/0000000000000/ask", {"request_id": "r", "worker": "w"})
    assert (reply.status_code, reply.json()["code"]) == (404, "study_not_found")
