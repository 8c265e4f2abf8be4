"""A cold study: the cache that is put together from its rows is the one that followed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.server.service.conftest import Service, Sql, Study
from tests.server.service.scattered import RANGES, scatter
from tpeak_server.domain.changes import Delta
from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.study import from_path
from tpeak_server.domain.trial import TrialState
from tpeak_server.pruners.resource import Resource
from tpeak_server.service import history as cache
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.storage import history as storage
from tpeak_server.storage.finished import Columns
from tpeak_server.storage.history import Rows

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}


def loaded(study: Study) -> tuple[History, History]:
    """The study's cache in the first replica, and one that is made anew."""
    replica, study_id = study.service.replicas[0], from_path(study.id)
    assert study_id is not None

    async def load() -> History:
        async with replica.database.reading() as connection:
            return await load_history(connection, study_id)

    kept = replica._batchers[study_id].history
    assert kept is not None
    return kept, study.service.run(load())


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_study_is_the_same_whatever_the_pages_it_is_read_in(
    service: Service, make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(storage, "PAGE", page)
    study = make_study(pruner={"name": "median", "n_startup_trials": 1})
    for value in (0.3, 0.1):
        trial = study.trial()
        study.report(trial, 1, value)
        study.tell(trial, values=[value])
    pruned = study.trial()
    study.report(pruned, 1, 0.9)
    study.tell(pruned, "pruned")
    study.tell(study.trial(), "failed")
    running = study.trial()
    study.report(running, 4, 0.2)
    kept, made = loaded(study)
    assert (made.clock, made.counts) == (kept.clock, kept.counts)
    assert {number: dict(record.curve) for number, record in made.unfinished.items()} == {4: {4: (0.2,)}}
    before, after = kept.view(SPACE), made.view(SPACE)
    assert after.numbers.tolist() == [0, 1, 2]
    for name in ("outcome", "loss", "last_loss"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_array_equal(after.columns["x"], before.columns["x"])
    assert [*made.curves.losses_at(1)] == [0.1, 0.3]
    assert [*made.curves.reached(1, without=9)] == [0.1, 0.2, 0.3, 0.9]


def test_a_study_without_trials_has_no_pages(make_study: Callable[..., Study]) -> None:
    study = make_study()
    assert study.ask(count=1, distributions={})[0]["number"] == 0
    kept, made = loaded(study)
    assert made.clock == kept.clock


SETTINGS: list[dict[str, Any]] = [
    {"directions": ["minimize"]},
    {"directions": ["maximize"], "pruner": {"name": "median"}},
    {"directions": ["minimize", "maximize"], "pruner": {"name": "median", "objective": 1}},
]
TRIALS = 150


@pytest.mark.parametrize("discrete", [False, True], ids=["mixed", "discrete"])
@pytest.mark.parametrize("page", [7, 5000])
@pytest.mark.parametrize("settings", SETTINGS, ids=["minimize", "maximize", "both"])
def test_trials_of_all_kinds_are_what_their_records_say(
    make_study: Callable[..., Study],
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    page: int,
    discrete: bool,
) -> None:
    monkeypatch.setattr(storage, "PAGE", page)
    study = make_study(**settings)
    scatter(sql, id_of(study), TRIALS, objectives=len(settings["directions"]), seed=page, discrete=discrete)
    made, delta = loaded_beside_records(study)
    from_records = History(delta)
    same(from_records, made)
    go_on(delta, [from_records, made], Random(page))


def test_trials_come_in_columns_but_for_those_that_are_not_plain(study: Study) -> None:
    study.finish(0.5)
    pruned, failed, deleted, released, suggesting = (study.trial() for _ in range(5))
    study.report(pruned, 1, 0.5)
    study.tell(pruned, "pruned")
    study.tell(failed, "failed", user_attrs={"why": "memory"})
    study.tell(deleted, values=[0.5])
    assert study.service.send("DELETE", f"{study.path}/trials/3").status_code == 204
    study.of(released, "release", {"checkpoint": "place", "step": 0})
    study.tell(study.trial(), values=[0.5])
    study.of(suggesting, "suggest", {"name": "y", "distribution": {"type": "int", "low": 1, "high": 9}})
    study.tell(suggesting, values=[0.5])
    study.finish(0.5)
    assert study.post("trials", {"request_id": "added", "trials": [{"params": {"x": 0.5}}]}).status_code == 201
    assert numbers(study.service.run(parts(study, 8))) == [[0, 1, 2, 6], [3, 4, 5, 7]]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [((1, 1, 1, 2), [[0, 1, 2], [3]]), ((2, 2, 5, 1), [[0], [1], [2], [3]]), ((0, 0, 3, 0), [[0, 1, 2, 3]])],
)
def test_a_part_ends_before_it_has_too_many_reports(
    make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, reports: list[int], expected: list[list[int]]
) -> None:
    monkeypatch.setattr(storage, "REPORTS", 3)
    study = make_study()
    for count in reports:
        trial = study.trial()
        for step in range(count):
            study.report(trial, step, 0.5)
        study.tell(trial, values=[0.5])
    assert numbers(study.service.run(parts(study, 4))) == expected


def test_a_part_has_fewer_trials_where_each_may_have_many_parameters(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "VALUES", 2 * len(RANGES))
    monkeypatch.setattr(storage, "ROWS", 1)
    for value in (0.3, 0.2, 0.1):
        study.finish(value)
    assert numbers(study.service.run(parts(study, 3))) == [[0, 1], [2]]


def test_a_rung_that_was_asked_about_has_the_trials_that_are_filled_in(
    make_study: Callable[..., Study], sql: Sql
) -> None:
    study = make_study()
    scatter(sql, id_of(study), TRIALS, objectives=1, seed=1)
    _, delta = loaded_beside_records(study)
    asked, unasked = (History(replace(delta, records=[])) for _ in range(2))
    assert rungs(asked) == [[], []]
    for history in (asked, unasked):
        study.service.run(fill(study, history))
    assert rungs(asked) == rungs(unasked)
    assert [len(losses) > 9 for losses in rungs(asked)] == [True, True]


def test_the_latest_proposals_are_known_though_all_would_be_too_many(
    study: Study, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "KEPT_PROPOSALS", 40)
    scatter(sql, id_of(study), TRIALS, objectives=1, seed=2)
    made, delta = loaded_beside_records(study)
    space = {RANGES[i][0]: RANGES[i][1] for i in (0, 4)}
    found, expected = (one.proposed_since(TRIALS - 20, space) for one in (made, History(delta)))
    assert repr(found) == repr(expected)
    assert len(found["x"]) == 10  # were sampled here


def id_of(study: Study) -> int:
    study_id = from_path(study.id)
    assert study_id is not None
    return study_id


def loaded_beside_records(study: Study) -> tuple[History, Delta]:
    """The study's cache, made anew, and the records of all of its trials."""

    async def load() -> tuple[History, Delta]:
        async with study.service.replicas[0].database.reading() as connection:
            history = await load_history(connection, id_of(study))
            return history, await storage.load_trials(connection, id_of(study), list(range(TRIALS)))

    made, delta = study.service.run(load())
    return made, delta


async def fill(study: Study, history: History) -> None:
    """Has the history take over the study's trials that come in columns."""
    for part in await parts(study, TRIALS):
        if isinstance(part, Columns):
            history.fill(part.finished())


async def parts(study: Study, trials: int) -> list[Columns | Rows]:
    """So many trials of the study, as they are read."""
    async with study.service.replicas[0].database.reading() as connection:
        return [part async for part in storage.load_parts(connection, id_of(study), trials, len(RANGES))]


def numbers(parts: list[Columns | Rows]) -> list[list[int]]:
    """Which trials each part has, but for parts without any."""
    read = [part.numbers().tolist() if isinstance(part, Columns) else [row[0] for row in part.trials] for part in parts]
    return [sorted(part) for part in read if part]


def go_on(delta: Delta, histories: list[History], dice: Random) -> None:
    """Makes results of what has none, and then deletes trials, and sees that the histories stay the same."""
    records = dice.sample(delta.records, len(delta.records))
    for record in [one for one in records if one.trial.state is TrialState.LOST]:
        told = replace(record.trial, state=TrialState.COMPLETE, values=(0.5,) * len(delta.study.directions))
        for history in histories:
            history.apply(replace(delta, records=[replace(record, trial=told)]))
    same(*histories)
    for first in range(0, len(records), 50):
        gone = [replace(one, trial=replace(one.trial, deleted=True)) for one in records[first : first + 50]]
        for history in histories:
            history.apply(replace(delta, records=gone))
        same(*histories)
    assert [history.counts.total() for history in histories] == [0, 0]


def rungs(history: History) -> list[list[float]]:
    """What a rung by steps and one in cost say."""
    by_step = history.curves.reached(2, without=-1)
    in_cost = history.curves.reached(0.3, without=-1, resource=Resource.COST)
    return [whole(by_step), whole(in_cost)]


def whole(losses: Sequence[float]) -> list[float]:
    """The losses with -0.0 made the 0.0 that it equals: the order of equal ones says nothing."""
    return [loss + 0.0 for loss in losses]


def same(one: History, other: History) -> None:
    """Asserts that the caches say the same."""
    expected, found = shown(one), shown(other)
    for name, value in expected.items():
        assert found[name] == value, name


def shown(history: History) -> dict[str, str]:
    """All that a cache says, as text."""
    spaces = [{RANGES[i][0]: RANGES[i][1] for i in ids} for ids in ((0, 1, 2), (3, 4, 5))]
    views = [history.view(space) for space in spaces]
    curves, tries = history.curves, history.tries()
    best, steps = curves.best, range(-1, 9)
    said: dict[str, Any] = {
        "known": [history.clock, history.study, sorted(history.interned.items()), history.forgotten],
        "views": [replace(view, generations=dict(sorted(view.generations.items()))) for view in views],
        "pending": [history.pending(space) for space in spaces],
        "proposed": [history.proposed_since(first, space) for space in spaces for first in (0, TRIALS // 2)],
        "tries": [[*tries.trials.items()], sorted(tries.ranges.items())],
        "counts": sorted((str(state), count) for state, count in history.counts.items() if count),
        "unfinished": [sorted(history.unfinished), history.waiting(), history.teaching()],
        "feasible losses": [*history.feasible_losses({3, 5})],
        "complete curves": [curves.complete, curves.deepest, curves.deepest_cost, best],
        "peers": [whole(curves.losses_at(step)) for step in steps],
        "rungs": [whole(curves.reached(step, without=4)) for step in steps] + rungs(history),
        "reports": curves.reports(range(TRIALS), 10**6),
    }
    with np.printoptions(threshold=10**9, floatmode="unique"):
        return {name: repr(value) for name, value in said.items()}
