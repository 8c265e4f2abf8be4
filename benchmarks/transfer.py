"""Time and memory of `tpeak import` and `tpeak export`: a study of 100,000 trials with 10 parameters."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine import commits_per_s
from memory import peak_mib
from server import server

TRIALS = 100_000
PARAMETERS = 10


def main() -> None:
    """Imports a made-up study, and exports it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--parameters", type=int, default=PARAMETERS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server() as running:
        made, again = Path(folder) / "made.jsonl", Path(folder) / "again.jsonl"
        with made.open("w") as file:
            file.writelines(json.dumps(line) + "\n" for line in study(given.trials, given.parameters))
        address = running.address
        environment = os.environ | {"TPEAK_URL": f"http://{address.host}:{address.port}", "TPEAK_TOKEN": address.token}
        idle = peak_mib(running.pid)
        print(f"the machine commits {commits_per_s(running.database_url):.0f} rows/s")
        print(f"{given.trials} trials, {given.parameters} parameters; the server's process had {idle:.0f} MB at first")
        for words in (["import", str(made)], ["export", "made up", "-o", str(again)]):
            began = time.monotonic()
            subprocess.run([sys.executable, "-m", "tpeak.cli", *words], check=True, env=environment)
            seconds = time.monotonic() - began
            command_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            size = (again if words[0] == "export" else made).stat().st_size / 1e6
            print(
                f"{words[0]}: {seconds:.1f} s, {size:.0f} MB, {given.trials / seconds:.0f} trials/s; peak memory: "
                f"command {command_mb} MB, server {peak_mib(running.pid):.0f} MB"
            )


def study(trials: int, parameters: int) -> Iterator[dict[str, object]]:
    """The lines of a study that never was."""
    rng = random.Random(0)
    yield {"type": "study", "format": 1, "name": "made up", "seed": 1, "directions": ["minimize"]}
    space = {"type": "float", "low": 0.0, "high": 1.0}
    for number in range(parameters):
        yield {"type": "distribution", "id": number, "name": f"x{number}", "distribution": space}
    moment = "2026-11-24T12:00:00.000000Z"
    for number in range(trials):
        yield {
            "type": "trial", "number": number, "state": "complete", "values": [rng.random()], "origin": "tpe",
            "proposed": {f"x{i}": [i, rng.random()] for i in range(parameters)}, "epoch": 1, "told_epoch": 1,
            "sampled_at_seq": number, "sampler_version": "tpe-1", "created_at": moment, "started_at": moment,
            "finished_at": moment, "epochs": [{"epoch": 1, "worker": "w", "ended": "told", "issued_at": moment}],
        }  # fmt: skip
    lines = trials + parameters + 2
    yield {"type": "end", "lines": lines, "trials": trials, "late_results": 0, "handed": trials, "state": "open"}


if __name__ == "__main__":
    main()
