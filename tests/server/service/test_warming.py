"""Studies that begin with what others have found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.study import from_path

Study = Any  # of conftest.py, which no module can import
Service = Any
MakeStudy = Callable[..., Study]
Sql = Callable[..., list[tuple[Any, ...]]]

X = {"type": "float", "low": 0.0, "high": 1.0}
KIND = {"type": "categorical", "choices": ["a", "b"]}


def add(study: Study, *trials: dict[str, Any]) -> None:
    body = {"request_id": study.service.key(), "trials": list(trials)}
    assert study.post("trials", body).status_code == 201


def complete(x: float, *values: float, kind: str = "a", **more: Any) -> dict[str, Any]:
    params = {"params": {"x": x, "kind": kind}, "distributions": {"x": X, "kind": KIND}}
    return {"state": "complete", "values": list(values), **params, **more}


@pytest.fixture
def source(make_study: MakeStudy) -> Study:
    """A study whose best point is at 0.25."""
    study = make_study(directions=["maximize"], name=None)
    add(study, *[complete(n / 64, -abs(n / 64 - 0.25), kind="ab"[n % 2]) for n in range(60)])
    add(study, complete(0.5, 9.0, constraints=[1.0]), {"state": "failed"})
    return study


def stored(sql: Sql, study: Study) -> list[tuple[Any, ...]]:
    return sql(
        "SELECT source, number, rank, params FROM warm_trials WHERE study_id = %s ORDER BY source, number",
        from_path(study.id),
    )


def refused(service: Service, *sources: Any, **more: Any) -> tuple[int, str, str]:
    body = {"request_id": service.key(), "name": service.key(), "warm_start": list(sources), **more}
    reply = service.send("POST", "/studies", body)
    return reply.status_code, reply.json()["code"], reply.json()["where"]


def test_complete_trials_are_taken_over_by_rank_with_where_they_are_from(
    source: Study, make_study: MakeStudy, sql: Sql
) -> None:
    study = make_study(warm_start=[{"study": source.id, "params": {"y": "x"}, "weight": 0.5}])
    assert study.get()["warm_start"] == [
        {
            "study": source.id,
            "name": source.get()["name"],
            "params": {"y": "x"},
            "weight": 0.5,
            "seen": 61,
            "trials": 61,
        }
    ]
    rows = {number: (rank, params) for _, number, rank, params in stored(sql, study)}
    assert rows[16] == (0, {"kind": "a", "y": 0.25})
    # What breaks a constraint is worse than all that do not.
    assert rows[60] == (60, {"kind": "a", "y": 0.5})
    assert (study.get()["counts"]["complete"], study.get("/trials")["trials"]) == (0, [])


def test_of_many_trials_the_best_and_the_newest_are_taken(make_study: MakeStudy, sql: Sql) -> None:
    source = make_study()
    add(source, *[complete(n / 500, float(n)) for n in range(500)])
    study = make_study(warm_start=[{"study": source.id}])
    assert [number for _, number, *_ in stored(sql, study)] == [*range(100), *range(200, 500)]
    (begun,) = study.get()["warm_start"]
    assert (begun["seen"], begun["trials"]) == (500, 400)


def test_they_shorten_the_random_start_and_lead_to_where_the_others_were_best(
    source: Study, make_study: MakeStudy
) -> None:
    study = make_study(warm_start=[{"study": source.id}], seed=3)
    origins, best = [], 1.0
    for _ in range(8):
        trial = study.trial()
        origins.append(trial["origin"])
        best = min(best, abs(trial["params"]["x"] - 0.25))
        study.tell(trial, values=[abs(trial["params"]["x"] - 0.25)])
    assert origins == ["startup"] * 3 + ["tpe (warm start)"] * 5
    assert best < 0.05


@pytest.mark.parametrize("replica", [0, 1])
def test_what_becomes_of_the_source_changes_nothing_and_replay_draws_the_same(
    source: Study, make_study: MakeStudy, replica: int
) -> None:
    study = make_study(warm_start=[{"study": source.id}])
    for _ in range(5):
        study.finish(0.5)
    add(source, complete(0.75, 99.0))
    source.service.send("DELETE", source.path)
    for number in range(5):
        explained = study.get(f"/trials/{number}/explain", replica=replica)
        assert (explained["replay"]["outcome"], explained["warm"]) == ("same", 61)
    study.finish(0.25)
    trial = study.trial(replica=replica)
    assert study.get(f"/trials/{trial['number']}/explain")["replay"]["outcome"] == "same"


def test_what_the_space_here_does_not_hold_is_left_out(source: Study, make_study: MakeStudy) -> None:
    study = make_study(warm_start=[{"study": source.id}], sampler={"name": "tpe", "n_startup_trials": 3})
    space = {"x": {"type": "float", "low": 0.5, "high": 2.0}, "kind": {**KIND, "choices": ["b", "c"]}}
    for _ in range(6):
        trial = study.trial(distributions=space)
        assert 0.5 <= trial["params"]["x"] <= 2.0
        assert trial["params"]["kind"] in {"b", "c"}
        study.tell(trial, values=[0.5])


def test_a_source_must_be_there_and_fit(source: Study, make_study: MakeStudy, service: Service) -> None:
    two = make_study(directions=["minimize", "minimize"])
    unknown = {"study": "0" * 13}
    assert refused(service, {"study": source.id}, unknown) == (404, "study_not_found", "/warm_start/1/study")
    assert refused(service, {"study": "digits"}) == (404, "study_not_found", "/warm_start/0/study")
    assert refused(service, {"study": two.id}) == (422, "invalid_request", "/warm_start/0/study")
    assert refused(service, {"study": source.id}, {"study": source.id})[2] == "/warm_start/1/study"
    mapped = {"study": source.id, "params": {"a/b": "lr"}}
    assert refused(service, mapped) == (422, "invalid_request", "/warm_start/0/params/a~1b")
    assert refused(service, {"study": source.id, "weight": 0})[2] == "/warm_start/0/weight"


def test_a_source_may_have_no_trials_yet(study: Study, make_study: MakeStudy) -> None:
    begun = make_study(warm_start=[{"study": study.id}])
    assert begun.trial()["origin"] == "startup"
    assert begun.get("/trials/0/explain")["warm"] == 0


def test_several_objectives_are_ranked_together(make_study: MakeStudy, sql: Sql) -> None:
    directions = ["minimize", "maximize"]
    source = make_study(directions=directions)
    add(source, complete(0.1, 2.0, 1.0), complete(0.2, 1.0, 2.0), complete(0.3, 3.0, 0.0))
    study = make_study(directions=directions, warm_start=[{"study": source.id}])
    assert [rank for _, _, rank, _ in stored(sql, study)] == [1, 0, 2]
    for _ in range(12):
        study.finish(0.5, 0.5)


def test_a_study_that_learned_hands_on_its_own_trials_alone(source: Study, make_study: MakeStudy, sql: Sql) -> None:
    second = make_study(warm_start=[{"study": source.id}])
    second.finish(0.5)
    third = make_study(warm_start=[{"study": second.id}])
    assert [(number, rank) for _, number, rank, _ in stored(sql, third)] == [(0, 0)]


def test_a_second_creator_and_a_repetition_learn_what_there_is(
    source: Study, study: Study, service: Service, sql: Sql
) -> None:
    body = {"name": service.key(), "warm_start": [{"study": source.id}], "if_exists": "load"}
    first = service.send("POST", "/studies", {**body, "request_id": "first"}).json()
    again = service.send("POST", "/studies", {**body, "request_id": "first"}, replica=1).json()
    assert (first["created"], again["study"]["id"], again["differences"]) == (True, first["study"]["id"], [])
    other = {**body, "request_id": service.key(), "warm_start": [{"study": study.id}]}
    entry = {"params": {}, "weight": 1.0}
    assert service.send("POST", "/studies", other).json()["differences"] == [
        {
            "field": "warm_start",
            "stored": [{"study": source.id, **entry}],
            "asked": [{"study": study.id, **entry}],
        }
    ]


def test_what_a_study_began_with_travels_with_it(source: Study, make_study: MakeStudy, sql: Sql) -> None:
    study = make_study(warm_start=[{"study": source.id, "weight": 2.0}], seed=5)
    for _ in range(4):
        study.finish(0.5)
    reply = study.service.send("GET", f"{study.path}/export")
    _, *rest = [json.loads(line) for line in reply.text.splitlines()]
    copy = make_study(seed=5)
    for place in range(0, len(rest), 40):
        sent = copy.post("import", {"request_id": f"part {place}", "lines": rest[place : place + 40]})
        assert sent.status_code == 200, sent.text
    assert (copy.get()["warm_start"], stored(sql, copy)) == (study.get()["warm_start"], stored(sql, study))
    one, other = study.trial(), copy.trial(replica=1)
    assert (one["origin"], one["params"]) == ("tpe (warm start)", other["params"])


def test_lines_of_sources_come_in_order_and_before_the_trials(study: Study) -> None:
    trial = {"type": "warm_trial", "source": 0, "number": 0, "rank": 0}
    begun = {"type": "warm_start", "study": study.id, "name": "n", "weight": 1.0, "seen": 1, "trials": 1}
    for lines, where in (
        ([trial], "/lines/0/source"),
        ([begun, {**trial, "source": 1}], "/lines/1/source"),
        ([{"type": "trial", "number": 0, "state": "failed"}, begun], "/lines/1"),
        ([{**begun, "study": "x"}], "/lines/0/study"),
    ):
        reply = study.post("import", {"request_id": study.service.key(), "lines": lines})
        assert (reply.status_code, reply.json()["where"]) == (422, where)
