"""Cycles of ask, report and tell a second, each call durable, and how long the calls take.

    python benchmarks/throughput.py [--all | --short | --overload] [--runs 3] [--seeds FOLDER] [--json FILE]

PostgreSQL, server and load share the machine. Every reply is sent after its COMMIT, with PostgreSQL's own defaults:
`fsync` and `synchronous_commit` are on. Every run has a server that has just started, on a copy of seeded studies, and
small studies are driven one after the other, each for some hundred cycles, so that their size is what the table says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cycles.experiments import Experiments
from cycles.overload import overload
from cycles.seeding import Seeds
from cycles.sheet import Sheet
from report import spread, versions, write_json

T = TypeVar("T")

SIZES = (1_000, 10_000, 100_000)
WORKERS = (1, 16, 128, 1_000)
COLD_TRIALS = 100_000
COLD_PARAMS = 20


def main() -> int:
    """Measures and prints; the exit code."""
    given = arguments()
    sheet = Sheet()
    with tempfile.TemporaryDirectory() as temporary:
        seeds = Seeds(given.seeds or Path(temporary), given.processes)
        experiments = Experiments(seeds, params=given.params, seconds=given.seconds, at_once=given.at_once)
        if given.overload:
            _overload(given, experiments, sheet)
        else:
            _measure(given, experiments, sheet)
    sheet.values("machine_commits_per_s", "1/s", experiments.commits)
    print(f"one client's INSERT + COMMIT/s: {spread(experiments.commits)}")
    print(versions("tpeak", "fastapi", "uvicorn", "psycopg", "numpy"))
    if given.json:
        write_json(given.json, sheet.named)
    return 0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="throughput of ask + report + tell")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--all", action="store_true", help="all sizes and workers, open loop, real clients, memory")
    kind.add_argument("--short", action="store_true", help="two sizes, 16 workers and the open loop, one run")
    kind.add_argument("--overload", action="store_true", help="throughput at twice the sustainable load")
    parser.add_argument("--runs", type=int, help="3; 1 of the short form")
    parser.add_argument("--trials", type=int, nargs="+", help="finished trials in a study before a run")
    parser.add_argument("--workers", type=int, nargs="+", help="of the closed loop")
    parser.add_argument("--params", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0, help="that a run counts at most")
    parser.add_argument("--rate", type=float, default=300.0, help="cycles/s of the open loop")
    parser.add_argument("--open-workers", type=int, default=1000, help="connected in the open loop")
    parser.add_argument("--cold-trials", type=int, default=COLD_TRIALS, help="of the study whose memory is looked at")
    parser.add_argument(
        "--at-once", type=int, default=1, help="studies among which a closed loop's workers are divided"
    )
    parser.add_argument("--processes", type=int, default=1, help="of the server, on the one PostgreSQL")
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="keeps seeded databases for the next time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    found = parser.parse_args(given)
    found.runs = found.runs or (1 if found.short else 3)
    found.trials = found.trials or (SIZES if found.all else SIZES[:2] if found.short else SIZES[:1])
    found.workers = found.workers or (WORKERS if found.all else (16,))
    return found


def _measure(given: argparse.Namespace, experiments: Experiments, sheet: Sheet) -> None:
    for trials in given.trials:
        for workers in given.workers:
            sheet.closed(trials, workers, _runs(given, lambda _, t=trials, w=workers: experiments.closed(t, w)))
        if given.all or given.short:
            runs = _runs(given, lambda run, t=trials: experiments.opened(t, given.open_workers, given.rate, run))
            sheet.opened(trials, given.open_workers, given.rate, runs)
    if given.all or given.short:
        sheet.worst_open(given.open_workers)
    if given.all:
        first = given.trials[0]
        sheet.real_clients(first, _runs(given, lambda _: experiments.real_clients(first)))
        sheet.cold(
            given.cold_trials, COLD_PARAMS, _runs(given, lambda _: experiments.cold(given.cold_trials, COLD_PARAMS))
        )


def _overload(given: argparse.Namespace, experiments: Experiments, sheet: Sheet) -> None:
    for trials in given.trials:
        found = _runs(given, lambda run, t=trials: overload(experiments, t, given.open_workers, run))
        sheet.overload(trials, given.open_workers, found)


def _runs(given: argparse.Namespace, measure: Callable[[int], T]) -> list[T]:
    return [measure(run) for run in range(given.runs)]


if __name__ == "__main__":
    sys.exit(main())
