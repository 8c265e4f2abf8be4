"""The same work with tpeak and with Optuna on the same PostgreSQL: cycles of ask, report and tell in a study of 1,000
trials x 10 floats with TPE, from 16 processes that each run the library's own loop.

    python benchmarks/versus_optuna.py [--runs 3] [--seconds 30] [--seeds FOLDER] [--json FILE]

Optuna's processes have its RDB storage, or its gRPC proxy over that. Each run has all three, one after the other and in
another order; the ratios are of one run. Every arm is bounded by time, tpeak's also by what its studies may grow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from cycles.cycle import CALLS, Measured
from cycles.experiments import crew_of_tpeak
from cycles.rivals import Rivals
from cycles.seeding import Seed, Seeds
from cycles.sheet import per_s, times
from machine import commits_per_s
from report import spread, table, versions, write_json

STUDIES_A_RUN = 4
NEEDED = ("optuna", "grpc", "google.protobuf")
INSTALL = "pip install --editable '.[embedded]' optuna==5.0.0 grpcio protobuf"
TITLES = {"tpeak": "tpeak's client", "rdb": "Optuna, RDB storage", "grpc": "Optuna, gRPC proxy"}


def main() -> int:
    """Measures and prints; the exit code."""
    given = _arguments()
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        print(f"this comparison needs {', '.join(missing)}; install it with: {INSTALL}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        arms, commits = _measure(given, Seeds(given.seeds or Path(temporary)))
    ratios = {f"ratio_{name}": _ratios(arms, name) for name in ("rdb", "grpc")}
    _show(given, arms, ratios, commits)
    if given.json:
        named = {name: ("", values) for name, values in ratios.items()}
        named |= {f"{name}_cycles_per_s": ("1/s", per_s(runs)) for name, runs in arms.items()}
        write_json(given.json, named | {"machine_commits_per_s": ("1/s", commits)})
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="tpeak and Optuna on the same PostgreSQL")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=1000, help="finished trials in a study before a run")
    parser.add_argument("--params", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0, help="that an arm counts at most")
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="keeps tpeak's seeded database for the next time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _measure(given: argparse.Namespace, seeds: Seeds) -> tuple[dict[str, list[Measured]], list[float]]:
    seed = Seed(trials=given.trials, params=given.params, studies=STUDIES_A_RUN * given.runs)
    arms: dict[str, list[Measured]] = {name: [] for name in TITLES}
    commits = []
    with seeds.served(seed) as (running, _):
        rivals = Rivals(running.database_url, trials=given.trials, params=given.params, seconds=given.seconds)
        for run in range(given.runs):
            names = [f"seeded-{run * STUDIES_A_RUN + number}" for number in range(STUDIES_A_RUN)]

            def tpeak(names: Sequence[str] = names) -> Measured:
                address, sizes = running.address, {"trials": given.trials, "params": given.params}
                return crew_of_tpeak(address, names, **sizes, seconds=given.seconds)

            work: Mapping[str, Callable[[], Measured]] = {"tpeak": tpeak, "rdb": rivals.rdb, "grpc": rivals.grpc}
            commits.append(commits_per_s(running.database_url))
            for name in rotated(list(work), run):
                arms[name].append(work[name]())
    return arms, commits


def rotated(names: Sequence[str], run: int) -> list[str]:
    """The names in another order for each run in turn."""
    first = run % len(names)
    return [*names[first:], *names[:first]]


def _ratios(arms: Mapping[str, Sequence[Measured]], name: str) -> list[float]:
    return [ours / theirs for ours, theirs in zip(per_s(arms["tpeak"]), per_s(arms[name]), strict=True)]


def _show(
    given: argparse.Namespace,
    arms: Mapping[str, Sequence[Measured]],
    ratios: Mapping[str, Sequence[float]],
    commits: Sequence[float],
) -> None:
    rows = [
        [title, spread(per_s(arms[name])), *(spread(times(arms[name], call, 0.5)) for call in CALLS)]
        for name, title in TITLES.items()
    ]
    title = f"16 processes, {given.trials:,} trials x {given.params} floats; {given.runs} runs, medians and range"
    print(table(title, ["", "cycles/s", *(f"{call} p50 ms" for call in CALLS)], rows))
    print(f"tpeak is {spread(ratios['ratio_rdb'])} times as fast as the RDB storage,")
    print(f"and {spread(ratios['ratio_grpc'])} times as fast as the gRPC proxy")
    print(f"one client's INSERT + COMMIT/s: {spread(commits)}")
    print(versions("tpeak", "optuna", "grpcio", "sqlalchemy", "psycopg"))


if __name__ == "__main__":
    sys.exit(main())
