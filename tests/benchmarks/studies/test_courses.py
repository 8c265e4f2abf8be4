"""Studies of learning curves, run on processes and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from problems.curves import CurveProblem
from problems.grids import Axis
from studies.arms import parse_arms
from studies.courses import FILE, Job, courses, jobs

PROBLEM = CurveProblem(
    name="line",
    axes=(Axis(name="rate", low=0.0, high=1.0, count=11),),
    values=np.outer(np.linspace(0.0, 1.0, 11), np.linspace(0.5, 1.0, 4)),
    seconds=np.ones((11, 4)),
)


def wanted(arms: str, seeds: int = 2) -> list[Job]:
    return jobs(parse_arms(arms), [PROBLEM], seeds=seeds, workers=1, trials=5)


def test_every_arms_first_seed_comes_before_the_second() -> None:
    assert [(job.arm.label, job.seed) for job in wanted("optuna5_random,optuna5+median")] == [
        ("optuna5_random+nop", 0),
        ("optuna5+median", 0),
        ("optuna5_random+nop", 1),
        ("optuna5+median", 1),
    ]


def test_no_study_is_run_twice(tmp_path: Path) -> None:
    first = courses(wanted("optuna5_random", seeds=1), tmp_path, processes=2, budget_s=60.0)
    assert [(course.seed, len(course.values), course.epochs) for course in first] == [(0, 5, [4, 8, 12, 16, 20])]
    both = courses(wanted("optuna5_random"), tmp_path, processes=2, budget_s=60.0)
    assert (both[0], sorted(course.seed for course in both)) == (first[0], [0, 1])
    assert len((tmp_path / FILE).read_text().splitlines()) == 2


def test_no_study_begins_when_the_time_is_over(tmp_path: Path) -> None:
    assert courses(wanted("optuna5_random"), tmp_path, processes=1, budget_s=-1.0) == []
