"""Cells of the comparison and their cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from studies.cells import Cache, Cell, Sampler, parse_samplers

CELL = Cell(
    sampler="tpe",
    version="1",
    problem="p",
    fingerprint="f",
    seed=0,
    trials=3,
    told=[3.0, 1.0, 0.5],
    noiseless=[2.0, 1.5, 1.75],
    seconds=0.1,
)


def test_the_trial_that_looked_best_counts_without_its_noise() -> None:
    assert [CELL.found(trials) for trials in (1, 2, 3)] == [2.0, 1.5, 1.75]


def test_a_longer_study_stands_for_shorter_ones(tmp_path: Path) -> None:
    Cache(tmp_path, Cell).add(CELL)
    again = Cache(tmp_path, Cell)
    assert (again.find(CELL.key, 2), again.find(CELL.key, 4)) == (CELL, None)
    again.add(longer := replace(CELL, trials=4, told=[*CELL.told, 0.0], noiseless=[*CELL.noiseless, 0.0]))
    assert Cache(tmp_path, Cell).find(CELL.key, 2) == longer


def test_samplers_may_have_settings() -> None:
    settings = {"n_ei_candidates": 64, "n_startup_trials": 5}
    assert parse_samplers('tpe,tpe:{"n_startup_trials":5,"n_ei_candidates":64},optuna5') == [
        Sampler(name="tpe"),
        Sampler(name="tpe", settings=settings),
        Sampler(name="optuna5"),
    ]
    assert Sampler(name="tpe", settings=settings).label == 'tpe:{"n_ei_candidates":64,"n_startup_trials":5}'
