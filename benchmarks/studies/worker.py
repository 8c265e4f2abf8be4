"""One process that runs studies: requests and answers are lines of JSON, so that it may be another interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from problems.catalogue import catalogue, crowded
from problems.problem import Problem, scale_of
from studies.cells import Sampler
from studies.crowd import Watched
from studies.matches import arguments_of, settings_of
from studies.simulation import Study, run

FLAG = "--worker"
"""What the script is started with to be a worker."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Worker:
    """The other end: a process of an interpreter that answers one request at a time."""

    def __init__(self, python: str, script: str) -> None:
        self._process = subprocess.Popen(
            [python, script, FLAG],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD,
            text=True,
        )

    def call(self, request: Mapping[str, Any]) -> Any:
        """The answer to one request. Raises RuntimeError where the process has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker died (exit code {self._process.wait()}) at {request}")
        return json.loads(answer)

    def close(self) -> None:
        """Lets the process end."""
        self._process.communicate()


def serve() -> None:
    """Answers requests from standard input until it ends."""
    problems = {problem.name: problem for problem in [*catalogue(), *crowded()]}
    for line in sys.stdin:
        request = json.loads(line)
        sampler = Sampler(**request["sampler"])
        if "problem" not in request:
            answer: Any = version_of(sampler)
        else:
            answer = _run(sampler, problems[request["problem"]], request["seed"], request["trials"])
        print(json.dumps(answer), flush=True)


def version_of(sampler: Sampler) -> str:
    """What a sampler's results depend on besides its settings."""
    if sampler.of_tpeak:
        from studies import of_tpeak

        return of_tpeak.version()
    from studies import of_optuna

    return of_optuna.version()


def _run(sampler: Sampler, problem: Problem, seed: int, trials: int) -> Mapping[str, Any]:
    study = Watched(_study(sampler, problem, seed))
    if problem.noise or problem.constrained:
        scale_of(problem)  # which is no part of the time that the first sampler takes
    start = time.perf_counter()
    pairs = list(run(study, problem, seed, trials))
    seconds = time.perf_counter() - start
    return {
        "told": [told for told, _ in pairs],
        "noiseless": [noiseless for _, noiseless in pairs],
        "near": study.near(),
        "seconds": seconds,
    }


def _study(sampler: Sampler, problem: Problem, seed: int) -> Study[Any]:
    if sampler.of_tpeak:
        from studies.of_tpeak import TpeakStudy

        return TpeakStudy(settings_of(sampler.name, sampler.settings, problem), seed, problem.objectives)
    from studies.of_optuna import OptunaStudy

    return OptunaStudy(sampler.name, seed, problem.objectives, arguments_of(sampler.name, problem))
