"""Proposals drawn again from the tables, and what is said about a trial's parameters."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.study import from_path
from tpeak_server.samplers.tpe import TPESampler
from tpeak_server.service import explaining

Study = Any  # of conftest.py, which no module can import
Service = Any
Sql = Callable[..., list[tuple[Any, ...]]]
MakeStudy = Callable[..., Study]
SPACE = {
    "x": {"type": "float", "low": -3.0, "high": 5.0},
    "rate": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "layers": {"type": "int", "low": 1, "high": 9},
    "solver": {"type": "categorical", "choices": ["adam", "sgd", None]},
}
LATE = {"type": "float", "low": 0.0, "high": 1.0}


def explained(study: Study, number: int) -> dict[str, Any]:
    found: dict[str, Any] = study.get(f"/trials/{number}/explain")
    return found


def outcomes(study: Study, numbers: range) -> Counter[str]:
    return Counter(explained(study, number)["replay"]["outcome"] for number in numbers)


def computed_elsewhere(rng: random.Random) -> dict[str, Any]:
    params = {"x": rng.uniform(-3, 5), "rate": 0.1, "layers": rng.randint(1, 9), "solver": rng.choice(["adam", None])}
    return {"state": "complete", "values": [loss({"params": params})], "params": params, "distributions": SPACE}


def add(study: Study, trials: list[dict[str, Any]]) -> Any:
    return study.post("trials", {"request_id": study.service.key(), "trials": trials})


def loss(trial: dict[str, Any]) -> float:
    params = trial["params"]
    return float((params["x"] - 1) ** 2 + params["layers"] / 9 + (params["solver"] == "sgd"))


async def worker(study: Study, replica: int, rng: random.Random, count: int = 1, **more: Any) -> None:
    """Computes trials until the study is done: some are pruned, some fail, some come late."""
    client = study.service.clients[replica]

    async def post(path: str, body: dict[str, Any]) -> Any:
        reply = await client.post(f"{study.path}/{path}", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    while True:
        asked = await post("ask", study.ask_body(count=count, distributions=SPACE, **more))
        if asked.get("done"):
            return
        for trial in asked["trials"]:
            path, lease = f"trials/{trial['number']}", {"lease": trial["lease"]}
            for step in range(rng.randrange(3)):
                report = {"reports": [{"step": step, "values": [loss(trial) + 1 / (1 + step)]}], "used": list(SPACE)}
                await post(f"{path}/report", lease | report)
            state = rng.choice(["complete", "complete", "complete", "pruned", "failed"])
            result = {"values": [loss(trial)]} if state == "complete" else {}
            await post(f"{path}/tell", lease | {"state": state, **result})


@pytest.mark.parametrize(("replicas", "count"), [([0, 0, 0], 1), ([0, 1, 0], 1), ([0, 0, 1], 4)])
def test_every_trial_of_interleaved_workers_is_drawn_again_the_same(
    service: Service, make_study: MakeStudy, replicas: list[int], count: int
) -> None:
    study = make_study(max_trials=40, seed=7)

    async def work() -> None:
        await asyncio.gather(
            *(worker(study, replica, random.Random(index), count) for index, replica in enumerate(replicas))
        )

    service.run(work())
    assert outcomes(study, range(40)) == {"same": 40}
    origins = Counter(explained(study, number)["origin"] for number in range(40))
    assert origins["gp (few trials)"] + origins["tpe (many pruned)"] >= 15


@pytest.mark.parametrize(
    ("sampler", "last"),
    [
        ({"name": "cmaes", "popsize": 4, "with_margin": True, "consider_pruned_trials": True}, "cmaes 3"),
        ({"name": "nsgaii", "population_size": 4}, "nsgaii 3"),
    ],
)
def test_what_a_generation_was_drawn_from_is_computed_again(
    service: Service, make_study: MakeStudy, sampler: dict[str, Any], last: str
) -> None:
    study = make_study(max_trials=60, seed=7, sampler=sampler)

    async def work() -> None:
        await asyncio.gather(*(worker(study, index % 2, random.Random(index)) for index in range(3)))

    service.run(work())
    assert outcomes(study, range(60)) == {"same": 60}
    assert last in {explained(study, number)["origin"] for number in range(60)}


@pytest.mark.parametrize("replicas", [[0, 0, 0], [0, 1, 0]], ids=str)
def test_what_was_drawn_before_anybody_asked_for_it_is_drawn_again_the_same(
    service: Service, make_study: MakeStudy, replicas: list[int]
) -> None:
    study = make_study(seed=7, max_trials=60, sampler={"name": "tpe"})
    rng = random.Random(1)
    for _ in range(2):
        assert add(study, [computed_elsewhere(rng) for _ in range(250)]).status_code == 201

    async def work() -> None:
        workers = [worker(study, replica, random.Random(index)) for index, replica in enumerate(replicas)]
        await asyncio.gather(*workers, enqueuing())

    async def enqueuing() -> None:
        """Takes numbers that something was drawn for."""
        for _ in range(5):
            given = {name: computed_elsewhere(rng)[name] for name in ("params", "distributions")}
            body = {"request_id": service.key(), "trials": [given]}
            assert (await service.clients[0].post(f"{study.path}/trials", json=body)).status_code == 201

    service.run(work())
    numbers = range(500, len(study.get("/trials", limit=1000)["trials"]))
    assert outcomes(study, numbers) == {"same": 55, "not drawn": 5}


def test_trials_that_run_at_once_are_drawn_again_in_sight_of_one_another(make_study: MakeStudy) -> None:
    study = make_study(seed=3, sampler={"name": "tpe", "n_startup_trials": 5})
    for trial in study.ask(count=8, distributions=SPACE):
        study.tell(trial, values=[loss(trial)])
    for _ in range(4):
        study.ask(count=6, distributions=SPACE)
    assert outcomes(study, range(8, 32)) == {"same": 24}
    assert [explained(study, number)["pending"] for number in (8, 13, 31)] == [0, 5, 23]


def test_an_explanation_has_scores_densities_and_neighbours(make_study: MakeStudy) -> None:
    study = make_study(seed=5, sampler={"name": "tpe"})
    for _ in range(12):
        trial = study.trial(distributions=SPACE)
        study.tell(trial, values=[loss(trial)])
    found = explained(study, 11)
    assert (found["number"], found["origin"], found["sampler"], found["version"]) == (11, "tpe", "tpe", "tpe-5")
    assert (found["seen"], found["pending"], found["candidates"]) == (11, 0, 24)
    assert found["params"] == trial["params"]
    assert found["replay"] == {"outcome": "same", "reasons": [], "notes": [], "params": trial["params"]}
    assert isinstance(found["score"], float)
    assert {*found["densities"]} == {*SPACE}
    assert all({*density} == {"good", "bad"} for density in found["densities"].values())
    distances = [one["distance"] for one in found["nearest"]]
    assert len(distances) == 5
    assert distances == sorted(distances)
    assert found["late"] == {}
    first = found["nearest"][0]
    stored = study.get(f"/trials/{first['number']}")
    assert {name: stored[name] for name in ("state", "values", "params")} == {
        name: first[name] for name in ("state", "values", "params")
    }


def test_a_startup_point_has_no_candidates(make_study: MakeStudy) -> None:
    study = make_study(seed=5, sampler={"name": "tpe"})
    study.trial(distributions=SPACE)
    found = explained(study, 0)
    assert (found["origin"], found["replay"]["outcome"]) == ("startup", "same")
    assert (found["candidates"], found["score"], found["densities"], found["nearest"]) == (0, None, {}, [])


def test_a_random_point_is_drawn_again(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "random"})
    study.ask(count=3, distributions=SPACE)
    assert outcomes(study, range(3)) == {"same": 3}


def test_trials_deleted_since_are_named_and_count_as_they_did(make_study: MakeStudy) -> None:
    study = make_study(seed=1)
    for _ in range(14):
        trial = study.trial(distributions=SPACE)
        study.tell(trial, values=[loss(trial)])
    running = study.trial(distributions=SPACE)
    study.trial(distributions=SPACE)
    for number in (3, running["number"]):
        assert study.service.send("DELETE", f"{study.path}/trials/{number}").status_code == 204
    found = explained(study, 15)
    assert found["replay"]["outcome"] == "same"
    assert found["replay"]["notes"] == ["deleted since: trials 3, 14"]
    assert 3 not in {one["number"] for one in found["nearest"]}
    reply = study.service.send("GET", f"{study.path}/trials/3/explain")
    assert (reply.status_code, reply.json()["code"]) == (404, "trial_not_found")


def test_trials_drawn_after_a_deletion_do_not_know_the_deleted_one(make_study: MakeStudy) -> None:
    study = make_study(seed=1)
    for number in range(16):
        trial = study.trial(distributions=SPACE)
        study.tell(trial, values=[loss(trial)])
        if number in {11, 13}:
            assert study.service.send("DELETE", f"{study.path}/trials/{number - 1}").status_code == 204
    assert outcomes(study, range(14, 16)) == {"same": 2}
    assert explained(study, 15)["replay"]["notes"] == []


def test_a_proposal_of_another_version_is_not_compared(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(sampler={"name": "tpe"})
    study.trial(distributions=SPACE)
    monkeypatch.setattr(TPESampler, "version", "tpe-9")
    found = explained(study, 0)
    assert found["replay"]["outcome"] == "other version"
    assert found["replay"]["reasons"] == ["drawn by tpe-5; tpe-9, which is at work now, draws otherwise"]


def test_after_a_change_of_the_sampler_s_settings_nothing_is_claimed(service: Service, make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "tpe"})
    study.trial(distributions=SPACE)
    body = {"request_id": service.key(), "sampler": {"name": "tpe", "n_ei_candidates": 5}}
    assert service.send("PATCH", study.path, body).status_code == 200
    study.trial(distributions=SPACE)
    replayed = explained(study, 0)["replay"]
    assert replayed["outcome"] == "history changed"
    assert replayed["reasons"][0].startswith("the sampler's settings were changed at seq ")
    assert explained(study, 1)["replay"]["outcome"] == "same"


def test_enqueued_and_added_trials_were_not_drawn_and_do_not_hinder(service: Service, make_study: MakeStudy) -> None:
    study = make_study(seed=2, sampler={"name": "tpe", "n_startup_trials": 3})
    params = {"x": 0.5, "rate": 0.1, "layers": 2, "solver": "sgd"}
    waiting = {"params": params, "distributions": SPACE}
    finished = waiting | {"state": "complete", "values": [1.0], "reports": [{"step": 1, "values": [0.5]}]}
    body = {"request_id": service.key(), "trials": [finished, finished, waiting]}
    assert study.post("trials", body).status_code == 201
    for _ in range(12):
        trial = study.trial(distributions=SPACE)
        study.tell(trial, values=[loss(trial)])
    assert explained(study, 0)["replay"]["reasons"] == ["it was added"]
    enqueued = explained(study, 2)
    assert (enqueued["replay"]["outcome"], enqueued["replay"]["reasons"]) == ("not drawn", ["it was enqueued"])
    assert [one["number"] for one in enqueued["nearest"]] == [0, 1]
    assert outcomes(study, range(3, 14)) == {"same": 11}


def test_a_late_parameter_says_how_it_came(make_study: MakeStudy) -> None:
    study = make_study()
    trial = study.trial()
    study.of(trial, "suggest", {"name": "late", "distribution": LATE})
    study.of(trial, "suggest", {"name": "later", "distribution": LATE})
    found = explained(study, 0)
    assert found["replay"]["outcome"] == "same"
    assert {*found["params"]} == {"x", "late", "later"}
    assert [(name, late["origin"], late["given"]) for name, late in found["late"].items()] == [
        ("late", "sampled", ["x"]),
        ("later", "sampled", ["late", "x"]),
    ]


def test_an_enqueued_value_that_came_late_says_so(service: Service, make_study: MakeStudy) -> None:
    study = make_study()
    study.post("trials", {"request_id": service.key(), "trials": [{"params": {"late": 0.25}}]})
    trial = study.trial()
    study.of(trial, "suggest", {"name": "late", "distribution": LATE})
    late = explained(study, 0)["late"]["late"]
    assert (late["origin"], late["given"]) == ("enqueued", [])


def test_a_trial_seen_running_before_its_late_parameter_is_seen_without_it(make_study: MakeStudy) -> None:
    study = make_study(seed=4, sampler={"name": "tpe", "n_startup_trials": 2})
    space = {"x": LATE, "late": LATE}
    for _ in range(4):
        trial = study.trial(distributions=space)
        study.tell(trial, values=[trial["params"]["x"]])
    other = {"name": "later", "distribution": LATE}
    running = study.trial(distributions=space)
    before = study.trial(distributions=space)
    study.of(running, "suggest", other)
    after = study.trial(distributions=space | {"later": LATE})
    study.report(running, 0, 0.5)
    study.tell(running, values=[0.5], used=["x"])
    study.trial(distributions=space)
    assert outcomes(study, range(before["number"], after["number"] + 2)) == {"same": 3}


@pytest.mark.parametrize("verb", ["tell", "report"])
def test_names_that_a_worker_used_later_are_a_doubt_where_another_point_is_drawn(
    make_study: MakeStudy, verb: str
) -> None:
    study = make_study(seed=9, sampler={"name": "tpe", "n_startup_trials": 2})
    space = {"x": LATE, "y": LATE}
    for _ in range(4):
        trial = study.trial(distributions=space)
        study.tell(trial, values=[trial["params"]["x"]])
    running = study.ask(count=6, distributions=space)
    for trial in running:
        study.of(trial, "report", {"reports": [{"step": 0, "values": [0.5]}], "used": ["x"]})
    study.tell(study.trial(distributions=space), values=[0.75])  # so that those after it see the others running
    study.ask(count=20, distributions=space)
    assert outcomes(study, range(11, 31)) == {"same": 20}
    said = {"state": "complete", "values": [0.5]} if verb == "tell" else {"reports": [{"step": 1, "values": [0.5]}]}
    for trial in running:
        study.of(trial, verb, said | {"used": ["x", "y"]})
    found = [explained(study, number)["replay"] for number in range(11, 31)]
    assert {one["outcome"] for one in found} == {"same", "history changed"}
    assert {reason for one in found for reason in one["reasons"]} == {
        "which parameters were used by then is not kept of trials 4, 5, 6, 7, 8 and 1 more"
    }


def test_lost_trials_that_come_back_count_as_they_did(make_study: MakeStudy, clock: Any) -> None:
    study = make_study(seed=6, lease_seconds=60, max_attempts=1, sampler={"name": "tpe", "n_startup_trials": 2})
    for _ in range(4):
        trial = study.trial(distributions=SPACE)
        study.tell(trial, values=[loss(trial)])
    late, retried, silent = study.ask(count=3, distributions=SPACE)
    study.report(silent, 0, 0.5)
    clock.live(61)
    assert [study.state(trial["number"]) for trial in (late, retried)] == ["lost", "lost"]
    study.trial(distributions=SPACE)
    study.tell(late, values=[0.25], used=["x"])
    study.trial(distributions=SPACE)
    patch = {"request_id": study.service.key(), "action": "retry"}
    assert study.service.send("PATCH", f"{study.path}/trials/{retried['number']}", patch).status_code == 200
    again, new = study.ask(count=2, distributions=SPACE)
    assert again["number"] == retried["number"]
    study.tell(again, values=[0.5])
    study.trial(distributions=SPACE)
    assert new["number"] == 9
    assert outcomes(study, range(11)) == {"same": 11}


def test_a_trial_that_resumes_another_epoch_counts_with_its_steps(make_study: MakeStudy) -> None:
    study = make_study(seed=8, sampler={"name": "tpe", "n_startup_trials": 2})
    for value in (1.0, 0.5, 0.75):
        first = study.trial(distributions=SPACE)
        study.report(first, 3, value)
        study.report(first, 9, value / 2)
        study.of(first, "release", {"checkpoint": "file:///c", "step": 3})
        second = study.trial(distributions=SPACE)
        study.tell(second, "pruned")
    for _ in range(4):
        study.trial(distributions=SPACE)
    assert outcomes(study, range(7)) == {"same": 7}


def test_events_that_contradict_the_rows_let_nothing_be_claimed(make_study: MakeStudy, sql: Sql) -> None:
    study = make_study()
    study.finish(0.5)
    study.finish(0.25)
    sql("DELETE FROM events WHERE study_id = %s AND number = 0 AND kind = 'told'", from_path(study.id))
    replayed = explained(study, 1)["replay"]
    assert replayed["outcome"] == "history changed"
    assert replayed["reasons"] == ["the events do not tell how trial 0 came to be as now"]


def test_an_imported_trial_was_drawn_elsewhere(service: Service, make_study: MakeStudy) -> None:
    source, target = make_study(), make_study()
    source.finish(0.5)
    _, *lines = service.send("GET", f"{source.path}/export").text.splitlines()
    body = {"request_id": service.key(), "lines": [json.loads(line) for line in lines]}
    assert service.send("POST", f"{target.path}/import", body).status_code == 200
    assert explained(target, 0)["replay"]["reasons"] == ["it was imported: what it was drawn from is another study's"]


def test_no_more_explanations_wait_than_a_server_can_hold(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.trial()
    monkeypatch.setattr(explaining, "MAX_EXPLAINING", 2)
    path = f"{study.path}/trials/0/explain"
    replies = study.service.race([("GET", path, None)] * 8)
    assert [reply.status_code for reply in replies] == [200, 200, 200, 200, 429, 429, 429, 429]
    assert replies[-1].json()["code"] == "overloaded"
    assert explained(study, 0)["replay"]["outcome"] == "same"


def test_a_trial_that_is_not_there_is_not_found(study: Study) -> None:
    reply = study.service.send("GET", f"{study.path}/trials/0/explain")
    assert (reply.status_code, reply.json()["code"]) == (404, "trial_not_found")
