"""What the commands that run studies have in common: their arguments, and the run itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from problems.problem import Problem
from studies.cells import Cell, Sampler
from studies.runner import Interpreters, run_all


def parser(
    description: str,
    *,
    samplers: str,
    seeds: int,
    trials: int,
    processes: int,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """A parser that knows these, with defaults; a command adds its own."""
    found = argparse.ArgumentParser(description=description, parents=parents)
    found.add_argument("--samplers", default=samplers, help='e.g. tpe,tpe:{"n_ei_candidates":64},random')
    found.add_argument("--seeds", type=int, default=seeds)
    found.add_argument("--trials", type=int, default=trials)
    found.add_argument("--processes", type=int, default=processes)
    found.add_argument("--budget-s", type=float, default=float("inf"), help="begin no study after that many seconds")
    found.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "tpeak-benchmarks")
    found.add_argument("--optuna4", help="an interpreter with Optuna 4.9; without it one is installed below the cache")
    found.add_argument("--json", type=Path)
    return found


def run(given: argparse.Namespace, samplers: Sequence[Sampler], problems: Sequence[Problem], script: str) -> list[Cell]:
    """The cells that were asked for, as far as the budget reaches."""
    return run_all(
        samplers,
        problems,
        seeds=given.seeds,
        trials=given.trials,
        processes=given.processes,
        budget_s=given.budget_s,
        interpreters=Interpreters(script=script, cache=given.cache, optuna4=given.optuna4),
    )
