"""What a closed loop counts."""

from __future__ import annotations

import time

from cycles.closed_loop import ClosedLoop, Round
from cycles.cycle import Measured


def moments(end: float) -> list[float]:
    """A cycle whose ask took 1 s, whose report took 2 s and whose tell took 3 s."""
    return [end - 6.0, end - 5.0, end - 3.0, end]


def test_cycles_count_after_the_warm_up_and_until_there_are_enough() -> None:
    measured = Measured()
    round_ = Round(ClosedLoop(studies=[], warmup=2, cycles=3, seconds=100.0), measured)
    for end in (10.0, 11.0, 13.0, 14.0):
        round_.end(moments(end))
        assert round_.going()
    round_.end(moments(16.0))
    assert not round_.going()
    assert (measured.cycles, measured.seconds) == (3, 5.0)
    assert (measured.ask, measured.report, measured.tell) == ([1000.0] * 3, [2000.0] * 3, [3000.0] * 3)


def test_what_ends_after_the_last_one_that_counts_is_left_out() -> None:
    measured = Measured()
    round_ = Round(ClosedLoop(studies=[], warmup=0, cycles=1), measured)
    now = time.perf_counter()
    round_.end(moments(now + 1.0))
    round_.end(moments(now + 50.0))
    assert measured.cycles == 1
    assert measured.seconds < 2.0


def test_a_study_is_left_when_the_seconds_of_all_studies_are_over() -> None:
    measured = Measured(seconds=7.0)
    round_ = Round(ClosedLoop(studies=[], warmup=1, cycles=100, seconds=10.0), measured)
    for end in (20.0, 22.0, 23.0):
        round_.end(moments(end))
        assert round_.going()
    round_.end(moments(23.5))
    assert not round_.going()
    assert measured.seconds == 10.5
