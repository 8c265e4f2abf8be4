"""What an open loop offers, and what it counts."""

from __future__ import annotations

from itertools import pairwise

from cycles.open_loop import Due, OpenLoop, measure, schedule

LOOP = OpenLoop(studies=["/studies/a", "/studies/b"], rate=20.0, warmup_s=2.0, seconds=10.0, seed=3)


def test_studies_have_equal_parts_one_after_the_other() -> None:
    cycles = schedule(LOOP)
    studies = [due.study for due in cycles]
    half = (len(studies) + 1) // 2
    assert studies == ["/studies/a"] * half + ["/studies/b"] * (len(studies) - half)
    assert all(one.at < other.at for one, other in pairwise(cycles))
    assert cycles[-1].at < 12.0


def test_an_ask_counts_from_when_it_was_due_and_the_other_calls_from_the_one_before() -> None:
    found = measure([Due(at=3.0, study="s", times=[3.5, 3.75, 4.75])], LOOP, stopped=12.0)
    assert (found.ask, found.report, found.tell) == ([500.0], [250.0], [1000.0])
    assert (found.cycles, found.seconds, found.unfinished) == (1, 10.0, 0)


def test_an_ask_without_an_answer_counts_what_had_passed() -> None:
    found = measure([Due(at=3.0, study="s"), Due(at=4.0, study="s", times=[6.0])], LOOP, stopped=15.0)
    assert (found.ask, found.report, found.unfinished, found.cycles) == ([12000.0, 2000.0], [], 2, 0)


def test_throughput_is_of_cycles_that_ended_in_the_time_that_counts() -> None:
    late, early = Due(at=11.0, study="s", times=[11.5, 11.9, 12.1]), Due(at=1.0, study="s", times=[1.5, 1.9, 2.1])
    found = measure([early, late], LOOP, stopped=13.0)
    assert found.cycles == 1
    assert found.ask == [500.0]  # the one that was due after the warm-up
