"""Samplers that hand out each point once, over several workers on two replicas, and what happens at the end."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

Study = Any  # of conftest.py, which no module can import
Service = Any
MakeStudy = Callable[..., Study]
Objective = Callable[[Any], Iterator[tuple[str, dict[str, Any]]]]

GRID = {"name": "grid", "search_space": {"x": [-50, 0, 50], "solver": ["adam", "sgd", None]}}
POINTS = Counter(itertools.product([-50, 0, 50], ["adam", "sgd", None]))
X = {"type": "float", "low": -100.0, "high": 100.0}
SOLVER = {"type": "categorical", "choices": ["sgd", None, "adam"]}


def integer(low: int, high: int) -> dict[str, Any]:
    return {"type": "int", "low": low, "high": high}


def flat(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "x", X
    yield "solver", SOLVER


def tree(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """3 leaves below "plain", 1 + 2 + 3 below "deep"."""
    yield "kind", {"type": "categorical", "choices": ["plain", "deep"]}
    if values["kind"] == "plain":
        yield "step", {"type": "float", "low": 1.0, "high": 2.0, "step": 0.5}
    else:
        yield "depth", integer(1, 3)
        yield "width", integer(1, values["depth"])


LEAVES = Counter(
    [("plain", step) for step in (1.0, 1.5, 2.0)]
    + [("deep", depth, width) for depth in (1, 2, 3) for width in range(1, depth + 1)]
)


class Workers:
    """Workers that each compute trials until the study is done; `seen` are the values of each trial that ended."""

    def __init__(self, study: Study, objective: Objective, *, states: tuple[str, ...] = ("complete",)) -> None:
        self.study = study
        self.objective = objective
        self.states = states
        self.seen: list[tuple[Any, ...]] = []
        self.reasons: list[str | None] = []

    def work(self, count: int, *, trials: int | None = None) -> None:
        """`count` workers in turn on the replicas, each for at most that many trials."""

        async def all_at_once() -> None:
            await asyncio.gather(*(self._worker(index, trials) for index in range(count)))

        self.study.service.run(all_at_once())

    async def _post(self, replica: int, path: str, body: dict[str, Any]) -> Any:
        reply = await self.study.service.clients[replica].post(f"{self.study.path}/{path}", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def _worker(self, index: int, trials: int | None) -> None:
        rng = random.Random(index)
        while trials is None or trials > 0:
            asked = await self._post(index % 2, "ask", self.study.ask_body(distributions={}))
            if asked.get("done"):
                self.reasons.append(asked.get("reason"))
                return
            for trial in asked["trials"]:
                await self._compute(index % 2, trial, rng.choice(self.states))
                trials = None if trials is None else trials - 1

    async def _compute(self, replica: int, trial: dict[str, Any], state: str) -> None:
        path, values = f"trials/{trial['number']}", dict[str, Any]()
        for name, distribution in self.objective(values):
            if covers(trial, name, distribution):
                values[name] = trial["params"][name]
                continue
            body = {"lease": trial["lease"], "name": name, "distribution": distribution}
            values[name] = (await self._post(replica, f"{path}/suggest", body))["value"]
        result = {"values": [1.0]} if state == "complete" else {}
        await self._post(
            replica, f"{path}/tell", {"lease": trial["lease"], "state": state, "used": list(values), **result}
        )
        self.seen.append(tuple(values.values()))


def covers(trial: dict[str, Any], name: str, distribution: dict[str, Any]) -> bool:
    """Whether the value that came with the ask serves for what is asked now."""
    if trial["distributions"].get(name, {}).get("type") != distribution["type"]:
        return False
    if "choices" in distribution:
        return trial["params"][name] in distribution["choices"]
    return bool(distribution["low"] <= trial["params"][name] <= distribution["high"])


def outcomes(study: Study) -> Counter[str]:
    trials = study.get("/trials")["trials"]
    return Counter(study.get(f"/trials/{trial['number']}/explain")["replay"]["outcome"] for trial in trials)


@pytest.mark.parametrize("space", [None, {"x": X, "solver": SOLVER}])
def test_every_point_of_a_grid_is_handed_out_once_and_then_the_study_is_done(
    make_study: MakeStudy, space: dict[str, Any] | None
) -> None:
    study = make_study(sampler=GRID, seed=1, space=space)
    workers = Workers(study, flat, states=("complete", "pruned", "failed"))
    workers.work(5)
    assert Counter(workers.seen) == POINTS
    assert workers.reasons == ["exhausted"] * 5
    assert study.asked().json() == {"trials": [], "done": True, "reason": "exhausted", "seq": study.get()["seq"]}
    assert outcomes(study) == {"same": 9}


def test_a_grid_goes_on_where_it_was_after_a_restart(
    make_study: MakeStudy, served: Callable[..., Any], database_url: str
) -> None:
    study = make_study(sampler=GRID, seed=1)
    workers = Workers(study, flat)
    workers.work(2, trials=2)
    with served(database_url) as server, httpx.Client(base_url=f"{server.url}/api/v1", headers=server.headers) as other:
        asked = other.post(f"{study.path}/ask", json=study.ask_body(distributions={})).json()
        (trial,) = asked["trials"]
        workers.seen.append((trial["params"]["x"], trial["params"]["solver"]))
        body = {"lease": trial["lease"], "state": "complete", "values": [0.0]}
        assert other.post(f"{study.path}/trials/{trial['number']}/tell", json=body).status_code == 200
    workers.work(3)
    assert Counter(workers.seen) == POINTS


@pytest.mark.parametrize("strict", [False, True])
def test_every_leaf_of_a_tree_is_reached_once(make_study: MakeStudy, strict: bool) -> None:
    study = make_study(sampler={"name": "brute_force", "avoid_premature_stop": strict}, seed=2)
    workers = Workers(study, tree, states=("complete", "pruned"))
    workers.work(4)
    assert Counter(workers.seen) == LEAVES
    assert workers.reasons == ["exhausted"] * 4
    assert outcomes(study) == {"same": 9}


def test_a_failed_leaf_is_tried_once_more_only_where_the_search_must_not_stop_early(make_study: MakeStudy) -> None:
    for strict, times in ((False, 1), (True, 2)):
        study = make_study(sampler={"name": "brute_force", "avoid_premature_stop": strict}, seed=3)
        workers = Workers(study, tree, states=("failed",))
        workers.work(3)
        assert Counter(workers.seen) == Counter(dict.fromkeys(LEAVES, times))


def branches(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """3 leaves below "plain", 2 + 3 below "deep"."""
    yield "kind", {"type": "categorical", "choices": ["plain", "deep"]}
    if values["kind"] == "plain":
        yield "step", {"type": "float", "low": 1.0, "high": 2.0, "step": 0.5}
        return
    yield "depth", integer(1, 3)
    if values["depth"] == 3:
        yield "width", integer(1, 3)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", ["random", "tpe"])
def test_an_exhausted_tree_ends_the_study(make_study: MakeStudy, name: str, workers: int) -> None:
    study = make_study(sampler={"name": name}, seed=4)
    at_work = Workers(study, branches, states=("complete", "pruned", "failed"))
    at_work.work(workers)
    leaves = Counter(
        [("plain", step) for step in (1.0, 1.5, 2.0)]
        + [("deep", 1), ("deep", 2), *(("deep", 3, width) for width in (1, 2, 3))]
    )
    assert set(at_work.seen) == set(leaves)
    assert at_work.reasons == ["exhausted"] * workers
    assert set(outcomes(study)) == {"same"}
    if workers == 1:
        assert Counter(at_work.seen) == leaves


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_a_space_whose_ranges_change_is_never_taken_to_be_exhausted(make_study: MakeStudy, name: str) -> None:
    study = make_study(sampler={"name": name}, seed=4, max_trials=40)
    workers = Workers(study, tree)
    workers.work(1)
    assert len(workers.seen) == 40
    assert workers.reasons == [None]
    assert outcomes(study) == {"same": 40}


def small(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "x", integer(0, 2)
    yield "kind", {"type": "categorical", "choices": ["a", "b"]}


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_several_workers_exhaust_a_declared_space_without_repeating(make_study: MakeStudy, name: str) -> None:
    study = make_study(sampler={"name": name}, seed=5, space=dict(small({})))
    workers = Workers(study, small, states=("complete", "failed"))
    workers.work(4)
    assert Counter(workers.seen) == Counter(itertools.product([0, 1, 2], ["a", "b"]))
    assert workers.reasons == ["exhausted"] * 4
    assert outcomes(study) == {"same": 6}


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_points_repeat_where_that_is_asked_for(make_study: MakeStudy, name: str) -> None:
    study = make_study(sampler={"name": name, "deduplicate": False}, seed=6, space=dict(small({})), max_trials=30)
    workers = Workers(study, small)
    workers.work(1)
    assert len(workers.seen) == 30
    assert workers.reasons == [None]


def test_a_failure_that_is_to_be_tried_again_keeps_its_point(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "grid", "search_space": {"x": [1, 2]}}, space={"x": X})
    first = study.trial(distributions={})
    second = study.trial(distributions={})
    waits = study.asked(distributions={}).json()
    assert (waits["trials"], waits["retry_after_s"], "done" in waits) == ([], 1.0, False)
    assert study.tell(first, "failed", retry=True).status_code == 200
    assert study.tell(second, values=[0.0]).status_code == 200
    again = study.trial(distributions={})
    assert (again["number"], again["params"]) == (first["number"], first["params"])
    assert study.tell(again, values=[0.0]).status_code == 200
    assert study.asked(distributions={}).json()["reason"] == "exhausted"


def test_a_deleted_trial_frees_its_point(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "grid", "search_space": {"x": [1]}}, space={"x": X})
    trial = study.trial(distributions={})
    assert study.tell(trial, "failed").status_code == 200
    assert study.asked(distributions={}).json()["done"]
    assert study.service.send("DELETE", f"{study.path}/trials/0", None).status_code == 204
    assert study.trial(distributions={})["params"] == {"x": 1.0}


def test_what_the_grid_lacks_is_refused_where_it_is_asked_for(make_study: MakeStudy) -> None:
    study = make_study(sampler=GRID)
    trial = study.trial(distributions={})
    reply = study.of(trial, "suggest", {"name": "momentum", "distribution": X})
    assert (reply.status_code, reply.json()["where"]) == (422, "/name")
    assert "the grid has no parameter 'momentum'; it has ['solver', 'x']" in reply.text
    wrong = study.of(trial, "suggest", {"name": "solver", "distribution": integer(0, 3)})
    assert wrong.status_code == 422
    beyond = study.of(trial, "suggest", {"name": "x", "distribution": {"type": "float", "low": 60.0, "high": 70.0}})
    assert beyond.json()["value"] in (-50.0, 0.0, 50.0)


def test_an_enqueued_trial_of_a_grid_needs_all_of_its_parameters(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "grid", "search_space": {"x": [1, 2], "y": [1]}}, space={"x": X, "y": X})
    enqueue = {"request_id": study.service.key(), "trials": [{"params": {"x": 2}}, {"params": {"x": 1, "y": 1}}]}
    assert study.post("trials", enqueue).status_code == 201
    partly, whole = study.ask(distributions={}, count=2)
    assert study.of(partly, "suggest", {"name": "x", "distribution": X}).json()["value"] == 2.0
    refused = study.of(partly, "suggest", {"name": "y", "distribution": X})
    assert (refused.status_code, "enqueue trials with all" in refused.text) == (422, True)
    assert study.trial(distributions={})["params"] == {"x": 2.0, "y": 1.0}
    assert whole["number"] == 1


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"sampler": {"name": "brute_force"}, "space": {"x": X}}, "/space/x"),
        ({"sampler": GRID, "space": {"solver": integer(0, 2)}}, "/sampler/search_space/solver/0"),
        (
            {
                "sampler": {"name": "partial_fixed", "fixed_params": {"x": "a"}, "base_sampler": {"name": "tpe"}},
                "space": {"x": X},
            },
            "/sampler/fixed_params/x",
        ),
        (
            {"sampler": {"name": "grid", "search_space": {n: list(range(101)) for n in "abc"}}},
            "/sampler/search_space",
        ),
    ],
)
def test_a_sampler_that_cannot_work_is_refused(service: Service, settings: dict[str, Any], where: str) -> None:
    body = {"request_id": service.key(), "name": f"refused {service.key()}", **settings}
    reply = service.send("POST", "/studies", body)
    assert (reply.status_code, reply.json()["where"]) == (422, where)


def test_a_continuous_parameter_is_refused_by_a_search_without_end(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "brute_force"})
    reply = study.of(study.trial(distributions={}), "suggest", {"name": "x", "distribution": X})
    assert (reply.status_code, reply.json()["where"]) == (422, "/distribution")
    assert "'x' is continuous: give it a step" in reply.text


@pytest.mark.parametrize("base", ["tpe", "random", "qmc", "brute_force"])
def test_fixed_parameters_stay_as_they_are_and_the_others_are_drawn(make_study: MakeStudy, base: str) -> None:
    sampler = {"name": "partial_fixed", "fixed_params": {"depth": 3}, "base_sampler": {"name": base}}
    budget = {"max_trials": 20} if base == "qmc" else {}
    study = make_study(sampler=sampler, seed=8, **budget)
    workers = Workers(study, deep)
    workers.work(1)
    assert {depth for depth, _ in workers.seen} == {3}
    widths = Counter(width for _, width in workers.seen)
    assert widths == ({1: 4, 2: 6, 3: 5, 4: 5} if base == "qmc" else {1: 1, 2: 1, 3: 1, 4: 1})
    assert outcomes(study) == {"same": len(workers.seen)}


def deep(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "depth", integer(1, 3)
    yield "width", integer(1, 4)


def test_a_grid_with_fixed_parameters_is_that_of_the_others(make_study: MakeStudy) -> None:
    sampler = {"name": "partial_fixed", "fixed_params": {"x": 50, "more": 1}, "base_sampler": GRID}
    study = make_study(sampler=sampler)
    workers = Workers(study, flat)
    workers.work(2)
    assert Counter(workers.seen) == Counter([(50, "adam"), (50, "sgd"), (50, None)])


def test_a_study_that_was_another_sampler_s_goes_on_from_where_its_trials_are(make_study: MakeStudy) -> None:
    study = make_study(sampler={"name": "tpe"}, seed=9, max_trials=4)
    workers = Workers(study, tree)
    workers.work(2)
    change = {"request_id": study.service.key(), "sampler": {"name": "brute_force"}, "max_trials": 100}
    assert study.service.send("PATCH", study.path, change).status_code == 200
    workers.work(3)
    assert set(workers.seen) == set(LEAVES)
    assert max(Counter(workers.seen[4:]).values()) == 1
