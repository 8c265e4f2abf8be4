"""Samples that were drawn ahead, and when they are of no use."""

from __future__ import annotations

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.service.prepared import Point, Prepared

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}


def point(x: float) -> Point:
    return Point(space=SPACE, values={"x": x}, origin="tpe", seq=9, version="tpe-1")


def prepared(first: int, *xs: float, ahead: tuple[Prepared, ...] = ()) -> Prepared:
    return Prepared(first=first, points=[point(x) for x in xs], ahead=ahead)


def taken(samples: Prepared, number: int) -> float | None:
    found = samples.take(number, SPACE)
    return None if found is None else found.values["x"]


def test_points_are_taken_in_the_order_of_their_numbers() -> None:
    samples = prepared(5, 0.25, 0.5)
    assert [taken(samples, 5), taken(samples, 6), taken(samples, 7)] == [0.25, 0.5, None]


def test_after_a_number_that_was_not_foreseen_there_are_no_more() -> None:
    samples = prepared(5, 0.25, 0.5)
    assert [taken(samples, 6), taken(samples, 5)] == [None, None]


def test_points_drawn_in_sight_of_others_are_taken_after_those() -> None:
    ahead = prepared(5, 0.25)
    behind = prepared(6, 0.5, ahead=(ahead,))
    assert [taken(ahead, 5), taken(behind, 6)] == [0.25, 0.5]


def test_points_drawn_in_sight_of_one_that_was_not_taken_are_of_no_use() -> None:
    ahead = prepared(5, 0.25, 0.5)
    behind = prepared(7, 0.75, ahead=(ahead,))
    assert taken(ahead, 5) == 0.25
    assert ahead.take(6, {}) is None
    assert taken(behind, 7) is None


def test_a_batch_that_came_to_nothing_has_taken_nothing() -> None:
    ahead = prepared(5, 0.25)
    behind = prepared(6, 0.5, ahead=(ahead,))
    assert taken(ahead, 5) == 0.25
    ahead.rewind(0)
    assert taken(behind, 6) is None
    behind.rewind(0)
    assert [taken(ahead, 5), taken(behind, 6)] == [0.25, 0.5]
