"""What is kept of the results, and what is printed."""

from __future__ import annotations

import pytest

from cycles.cycle import Measured
from cycles.experiments import Cold
from cycles.overload import Overloaded
from cycles.sheet import Sheet


def run(cycles: int, ask: float) -> Measured:
    return Measured(cycles=cycles, seconds=2.0, ask=[ask] * 10, report=[1.0], tell=[1.0], load_cpu_s=0.5, load_s=2.0)


def test_a_closed_loop_with_sixteen_workers_has_the_short_names(capsys: pytest.CaptureFixture[str]) -> None:
    sheet = Sheet()
    sheet.closed(1000, 16, [run(600, 5.0), run(640, 6.0), run(500, 9.0)])
    sheet.closed(1000, 128, [run(700, 5.0)])
    assert sheet.named["cycles_per_s_1000"] == ("1/s", [300.0, 320.0, 250.0])
    assert sheet.named["ask_p99_ms_1000"] == ("ms", [5.0, 6.0, 9.0])
    assert sheet.named["cycles_per_s_1000_128_workers"] == ("1/s", [350.0])
    printed = capsys.readouterr().out
    assert "1,000 trials, closed loop, 16 workers; 3 runs of 600 (500 .. 640) cycles that count" in printed
    assert "300.0 (250.0 .. 320.0)" in printed
    assert "the load took 0.25 (0.25 .. 0.25) of a core" in printed


def test_the_open_loops_headline_is_of_the_size_with_the_slowest_asks() -> None:
    sheet = Sheet()
    sheet.opened(1000, 1000, 300.0, [run(1, 50.0), run(1, 900.0), run(1, 60.0)])
    sheet.opened(10_000, 1000, 300.0, [run(1, 70.0), run(1, 80.0), run(1, 90.0)])
    sheet.worst_open(1000)
    assert sheet.named["ask_p99_ms_1000_workers"] == ("ms", [70.0, 80.0, 90.0])


def test_refusals_and_cycles_without_an_end_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    Sheet().opened(1000, 5, 10.0, [Measured(seconds=1.0, ask=[9.0], refused=3, unfinished=2)])
    printed = capsys.readouterr().out
    assert "refused for the time being: 3" in printed
    assert "begun or due, and not ended: 2" in printed


def test_the_other_figures_have_the_names_that_are_promised() -> None:
    sheet = Sheet()
    sheet.real_clients(1000, [run(100, 3.0)])
    sheet.cold(100_000, 20, [Cold(seconds=0.5, mib=300.0)])
    sheet.overload(1000, 1000, [Overloaded(peak=400.0, sustained=300.0, run=run(700, 3.0))])
    assert sheet.named["real_clients_cycles_per_s"] == ("1/s", [50.0])
    assert sheet.named["server_mib_100000"] == ("MiB", [300.0])
    assert sheet.named["first_ask_s_100000"] == ("s", [0.5])
    assert sheet.named["overload_ratio_1000"] == ("", [0.875])
