"""The experiments on a real server, in a small form."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycles.experiments import Experiments, seed_of
from cycles.seeding import Seed, Seeds


@pytest.mark.parametrize(("trials", "studies"), [(300, 8), (1_000, 8), (10_000, 2), (100_000, 1)])
def test_small_studies_are_several(trials: int, studies: int) -> None:
    assert seed_of(trials, 10) == Seed(trials=trials, params=10, studies=studies)


@pytest.mark.slow
def test_every_experiment_measures(tmp_path: Path) -> None:
    experiments = Experiments(Seeds(tmp_path), params=2, seconds=0.5)
    closed = experiments.closed(20, workers=3)
    opened = experiments.opened(20, workers=5, rate=20.0, run=0)
    cold = experiments.cold(20, params=3)
    for found in (closed, opened):
        assert found.cycles > 0
        assert min(found.ask) > 0.0
        assert found.load_cpu_s > 0.0
    assert (opened.refused, opened.unfinished) == (0, 0)
    assert cold.seconds > 0.0
    assert cold.mib > 20.0
    assert len(experiments.commits) == 2
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["1x20x3", "8x20x2"]


@pytest.mark.slow
def test_real_clients_work_side_by_side(tmp_path: Path) -> None:
    found = Experiments(Seeds(tmp_path), params=2, seconds=1.0).real_clients(20)
    assert found.cycles > 0
    assert min(found.tell) > 0.0
