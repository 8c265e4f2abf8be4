"""The client's samplers that enumerate, with a server."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import Any

import pytest

import tpeak
from tpeak.samplers import BruteForceSampler, GridSampler, PartialFixedSampler, QMCSampler, TPESampler


@pytest.fixture
def make(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TPEAK_TOKEN", server.token)
    return lambda sampler, **settings: tpeak.create_study(storage=server.url, sampler=sampler, **settings)


def flat(trial: tpeak.Trial) -> float:
    return trial.suggest_float("x", -100, 100) + trial.suggest_int("y", 0, 9)


def tree(trial: tpeak.Trial) -> float:
    if trial.suggest_categorical("kind", ["float", "int"]) == "float":
        return trial.suggest_float("x", 1, 3, step=0.5)
    return trial.suggest_int("a", 1, 3) + trial.suggest_int("b", trial.params["a"], 3)


def test_a_grid_is_computed_to_its_end_by_threads(make: Any) -> None:
    study = make(GridSampler({"x": [-50, 0, 50], "y": [3, 4]}, seed=1))
    study.optimize(flat, n_jobs=3)
    met = Counter((trial.params["x"], trial.params["y"]) for trial in study.trials)
    assert met == Counter(itertools.product([-50.0, 0.0, 50.0], [3, 4]))
    with pytest.raises(tpeak.StudyFinished, match="every point of its search space has been tried"):
        study.ask()


def test_a_tree_is_walked_to_its_end_by_several_workers(make: Any) -> None:
    study = make(BruteForceSampler(seed=2), study_name="tree")
    workers = [threading.Thread(target=study.optimize, args=(tree,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    leaves = [("float", x) for x in (1.0, 1.5, 2.0, 2.5, 3.0)]
    leaves += [("int", a, b) for a in (1, 2, 3) for b in range(a, 4)]
    assert Counter(tuple(trial.params.values()) for trial in study.trials) == Counter(leaves)


def test_tpe_stops_where_a_discrete_space_was_tried(make: Any) -> None:
    study = make(TPESampler(seed=3))
    study.optimize(lambda trial: trial.suggest_int("x", 1, 5) / trial.suggest_int("y", 1, 3))
    assert len(study.trials) == 15


def test_fixed_parameters_and_sequences(make: Any) -> None:
    study = make(PartialFixedSampler({"y": 4}, QMCSampler(scramble=True, seed=4)))
    study.optimize(flat, n_trials=8)
    assert {trial.params["y"] for trial in study.trials} == {4}
    assert len({trial.params["x"] for trial in study.trials}) == 8
