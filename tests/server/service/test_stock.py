"""When points that nobody had asked for are what the next ask gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.observations import View
from tpeak_server.samplers import RandomSampler
from tpeak_server.service.prepared import Point, Prepared
from tpeak_server.service.scenes import Scene
from tpeak_server.service.stock import Stock

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}
SAMPLER = RandomSampler()


def point(x: float) -> Point:
    return Point(space=SPACE, values={"x": x}, origin="random", seq=9, version="random-1")


def view() -> View:
    none, numbers = np.empty(0), np.empty(0, dtype=np.int64)
    return View(
        seq=9,
        numbers=numbers,
        outcome=np.empty(0, dtype=np.int8),
        loss=np.empty((0, 1)),
        last_step=numbers,
        last_loss=none,
        violation=none,
        columns={"x": none},
    )


SCENE = Scene(seq=9, first=5, next=5, forgotten=0, space=SPACE, view=view(), pending={"x": np.empty(0)})


@pytest.fixture
def group() -> Prepared:
    """One point for number 5, and two spare ones."""
    return Prepared(first=5, points=[point(0.25)], spare=[point(0.5), point(0.75)])


def xs(group: Prepared, scene: Scene = SCENE, first: int = 6, in_flight: tuple[Prepared, ...] = ()) -> list[float]:
    stock = Stock(sampler=SAMPLER, scene=SCENE, group=group)
    return [one.values["x"] for one in stock.points(SAMPLER, scene, first, in_flight)]


def test_they_follow_points_that_were_taken(group: Prepared) -> None:
    group.take(5, SPACE)
    assert xs(group) == [0.5, 0.75]


def test_they_follow_points_that_may_yet_be_taken(group: Prepared) -> None:
    assert xs(group, in_flight=(Prepared(), group)) == [0.5, 0.75]


def test_they_do_not_follow_points_that_nobody_took(group: Prepared) -> None:
    assert xs(group) == []


def test_they_are_for_the_numbers_behind_those_points_alone(group: Prepared) -> None:
    group.take(5, SPACE)
    assert [xs(group, first=first) for first in (5, 7)] == [[], []]


def test_they_are_for_the_scene_they_were_drawn_for_also_once_it_shows_more_trials_that_run(group: Prepared) -> None:
    group.take(5, SPACE)
    assert xs(group, replace(SCENE, next=6, pending={"x": np.array([0.25])})) == [0.5, 0.75]
    others = [replace(SCENE, seq=10), replace(SCENE, view=view()), replace(SCENE, space={**SPACE, "y": SPACE["x"]})]
    assert [xs(group, other) for other in others] == [[], [], []]


def test_they_are_for_the_sampler_they_were_drawn_by(group: Prepared) -> None:
    group.take(5, SPACE)
    stock = Stock(sampler=SAMPLER, scene=SCENE, group=group)
    assert stock.points(RandomSampler(), SCENE, 6, ()) == ()
