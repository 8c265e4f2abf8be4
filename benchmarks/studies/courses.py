"""Runs the studies of learning curves that the cache does not have, on several processes; tpeak's share one server."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from problems.curves import CurveProblem, marks_of
from server import server
from studies.arms import Arm
from studies.cells import Cache
from studies.counting import Course, columns
from studies.of_pruned import study_of, version_of
from studies.stepwise import run

FILE = "courses.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One study; `version` is the arm's."""

    arm: Arm
    version: str
    problem: CurveProblem
    seed: int
    workers: int
    trials: int

    def names(self) -> dict[str, Any]:
        """The fields of its `Course` that say what it is, in the order of its key."""
        return {
            "arm": self.arm.label,
            "version": self.version,
            "problem": self.problem.name,
            "fingerprint": marks_of(self.problem).fingerprint,
            "seed": self.seed,
            "workers": self.workers,
            "trials": self.trials,
        }


def jobs(arms: Sequence[Arm], problems: Sequence[CurveProblem], *, seeds: int, workers: int, trials: int) -> list[Job]:
    """All studies, every arm's first seed before the second."""
    versions = {arm.label: version_of(arm) for arm in arms}
    return [
        Job(arm=arm, version=versions[arm.label], problem=problem, seed=seed, workers=workers, trials=trials)
        for seed in range(seeds)
        for problem in problems
        for arm in arms
    ]


def courses(wanted: Sequence[Job], folder: Path, *, processes: int, budget_s: float) -> list[Course]:
    """The studies that there are when all is run or the time is over."""
    cache = Cache(folder, Course, FILE)
    known = [cache.find(tuple(job.names().values()), job.trials) for job in wanted]
    missing = [job for job, course in zip(wanted, known, strict=True) if course is None]
    found = [course for course in known if course is not None]
    end = time.monotonic() + budget_s
    with ExitStack() as stack:
        if any(job.arm.sampler.of_tpeak for job in missing):
            _serve(stack)
        pool = stack.enter_context(ProcessPoolExecutor(processes))
        stack.callback(pool.shutdown, cancel_futures=True)
        for study in as_completed([pool.submit(_course, job, end) for job in missing]):
            if (course := study.result()) is not None:
                cache.add(course)
                found.append(course)
    return found


def _serve(stack: ExitStack) -> None:
    """Starts a server, and tells the processes to come of it."""
    address = stack.enter_context(server()).address
    os.environ |= {"TPEAK_URL": f"http://{address.host}:{address.port}", "TPEAK_TOKEN": address.token}


def _course(job: Job, end: float) -> Course | None:
    """The study, None where there is no time left for it."""
    if time.monotonic() > end:
        return None
    study = study_of(job.arm, job.problem, job.seed, job.trials)
    finished = run(study, job.problem, trials=job.trials, workers=job.workers)
    return Course(**job.names(), **columns(finished))  # type: ignore[arg-type]
