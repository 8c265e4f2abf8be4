"""Crews of processes, and what of their work counts."""

from __future__ import annotations

import pytest

from cycles.crew import measure, work


def member(*ends: float, exhausted: bool = False) -> dict[str, object]:
    return {"cycles": [[end - 4.0, end - 3.0, end - 1.0, end] for end in ends], "exhausted": exhausted}


def test_cycles_count_that_end_between_the_moments() -> None:
    found = measure([member(9.0, 12.0, 15.0), member(11.0, 20.0)], 10.0, 20.0)
    assert (found.cycles, found.seconds) == (3, 10.0)
    assert (found.ask, found.report, found.tell) == ([1000.0] * 3, [2000.0] * 3, [1000.0] * 3)


def test_the_time_ends_with_the_first_member_that_has_nothing_left() -> None:
    found = measure([member(12.0, 15.0, exhausted=True), member(11.0, 14.0, 18.0)], 10.0, 20.0)
    assert (found.cycles, found.seconds) == (3, 5.0)


def test_members_that_have_nothing_left_after_the_warm_up_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="too little work"):
        measure([member(9.0, exhausted=True)], 10.0, 20.0)


def test_a_member_that_dies_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"a client ended \(exit code 1\)"):
        work(1.0, 0.0, [["cycles.no_such_module"]], {})
