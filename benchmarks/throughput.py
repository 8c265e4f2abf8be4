"""Cycles of ask, report and tell a second, each call durable, and how long the calls take.

    python benchmarks/throughput.py [--runs 3] [--json FILE]

PostgreSQL, server and load share the machine. Every reply is sent after its COMMIT, with PostgreSQL's own defaults:
`fsync` and `synchronous_commit` are on. A run drives several studies, each only for some hundred cycles, so that the
size of the study is what the table says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from load import Spec
from machine import commits_per_s
from report import spread, table, versions, write_json
from server import Address, server

CALLS = ("ask", "report", "tell")


def main() -> int:
    """Measures and prints; the exit code."""
    given = _arguments()
    spec = Spec(trials=given.trials, connections=given.connections)
    runs, commits = [], []
    with server() as running:
        for _ in range(given.runs):
            commits.append(commits_per_s(running.database_url))
            runs.append(_run(running.address, spec))
    cycles = [run["cycles"] / run["seconds"] for run in runs]
    rows = [["cycles/s", spread(cycles), ""], ["one client's INSERT + COMMIT/s", spread(commits), ""]]
    rows += [[f"{call} ms", *(spread([_share(run[call], p) for run in runs]) for p in (0.5, 0.99))] for call in CALLS]
    print(
        table(
            f"{spec.connections} connections, {spec.trials} to {spec.trials + spec.warmup + spec.cycles} trials "
            f"x {spec.params} float parameters,\n{given.runs} runs of {spec.studies} studies x {spec.cycles} cycles: "
            "median (least .. greatest)",
            ["", "p50", "p99"],
            rows,
        )
    )
    print(versions("tpeak", "fastapi", "uvicorn", "psycopg", "numpy"))
    if given.json:
        write_json(given.json, _named(spec, cycles, commits, runs))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="throughput of ask + report + tell")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--trials", type=int, default=1000, help="finished trials in the study before the run")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _run(address: Address, spec: Spec) -> dict[str, Any]:
    """One run, from a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as connect_file:
        json.dump({"url": f"http://{address.host}:{address.port}", "token": address.token}, connect_file)
        connect_file.flush()
        load = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("load.py")), connect_file.name, json.dumps(asdict(spec))],
            check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
    measured: dict[str, Any] = json.loads(load.stdout)
    return measured


def _named(
    spec: Spec, cycles: list[float], commits: list[float], runs: list[dict[str, Any]]
) -> dict[str, tuple[str, list[float]]]:
    names = {f"cycles_per_s_{spec.trials}": ("1/s", cycles), "machine_commits_per_s": ("1/s", commits)}
    names[f"ask_p50_ms_{spec.trials}"] = ("ms", [statistics.median(run["ask"]) for run in runs])
    for call in CALLS:
        names[f"{call}_p99_ms_{spec.trials}"] = ("ms", [_share(run[call], 0.99) for run in runs])
    return names


def _share(values: list[float], share: float) -> float:
    """The value that this share of all lies below."""
    return sorted(values)[int(share * (len(values) - 1))]


if __name__ == "__main__":
    sys.exit(main())
