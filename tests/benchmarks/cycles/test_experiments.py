"""The loads and the real client on a real server, in a small form."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycles.closed_loop import ClosedLoop
from cycles.experiments import crew_of_tpeak, seed_of
from cycles.open_loop import OpenLoop
from cycles.seeding import Seed, Seeds
from load import drive
from memory import resident_mib


@pytest.mark.parametrize(("trials", "studies"), [(300, 8), (1_000, 8), (10_000, 2), (100_000, 1)])
def test_small_studies_are_several(trials: int, studies: int) -> None:
    assert seed_of(trials, 10) == Seed(trials=trials, params=10, studies=studies)


@pytest.mark.slow
def test_all_loads_measure_a_server_on_a_copy_of_the_seed(tmp_path: Path) -> None:
    with Seeds(tmp_path).served(Seed(trials=20, params=2, studies=2)) as (running, studies):
        closed = drive(running.address, ClosedLoop(studies=studies, workers=3, cycles=10, warmup=3))
        both = drive(running.address, ClosedLoop(studies=studies, workers=3, cycles=10, warmup=3, at_once=2))
        opened = drive(running.address, OpenLoop(studies=studies, workers=5, rate=20.0, warmup_s=0.5, seconds=1.0))
        names = ["seeded-0", "seeded-1"]
        clients = crew_of_tpeak(running.address, names, trials=20, params=2, seconds=1.0)
        assert resident_mib(running.pid) > 20.0
    assert (closed.cycles, both.cycles) == (20, 10)
    for found in (closed, both, opened, clients):
        assert found.cycles > 0
        assert min(*found.ask, *found.report, *found.tell) > 0.0
    assert (opened.refused, opened.unfinished) == (0, 0)
    assert [folder.name for folder in tmp_path.iterdir()] == ["2x20x2"]
