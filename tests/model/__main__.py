"""The long form: `python -m tests.model [--programs 1000] [--seed N] [--processes 2]`, in half of them each.

Each seed stands for a few programs; a failure prints its seed and the shrunk program.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.conftest import admin, with_database
from tests.model.running import CHUNK, STEPS, run
from tests.model.world import World
from tpeak_server.storage.schema import migrate
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import embedded

HAPPENED = {
    "replays": 500,
    "unavailable": 200,
    "request_id_reused": 50,
    "lease_lost": 500,
    "already_finished": 100,
    "expiries": 200,
    "lost": 20,
    "amnesties": 20,
    "late complete": 20,
    "together": 500,
    "pruned": 20,
    "spared": 5,
}
"""What must have happened at least that often in 1,000 programs, else they prove nothing."""


def main() -> int:
    """0 where the servers and the model agree."""
    arguments = _arguments()
    if arguments.database:
        return _part(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tpeak-model-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        directory, account = DataDirectory(Path(folder)), postgres_account()
        with directory.locked(account), embedded(directory, account, time.sleep) as postgres:
            counts, failed = _both(postgres.url, arguments)
    seconds = time.monotonic() - began
    print(f"{counts['programs']} programs of {STEPS} operations in {seconds:.0f} s, {dict(counts.most_common())}")
    rare = [what for what, often in HAPPENED.items() if counts[what] < often * arguments.programs // 1000]
    if rare and not failed:
        print(f"too rare to prove anything: {', '.join(rare)}")
    print(f"seed {arguments.seed}: " + ("FAILED" if failed or rare else "the servers and the model agree"))
    return int(failed or bool(rare))


def _both(postgres_url: str, arguments: argparse.Namespace) -> tuple[Counter[str], bool]:
    """What happened in all processes, and whether any failed."""
    parts = []
    share = -(-arguments.programs // arguments.processes)
    for part in range(arguments.processes):
        name = f"model_{part}"
        admin(postgres_url, f'CREATE DATABASE "{name}"')
        migrate(with_database(postgres_url, name))
        # Seeds that are far apart: no two processes run the same programs.
        own = ["--programs", str(share), "--seed", str(arguments.seed + 10_000 * part)]
        command = [sys.executable, "-m", "tests.model", "--database", with_database(postgres_url, name), *own]
        parts.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}))
    counts: Counter[str] = Counter()
    for process in parts:
        # Hypothesis may have its say there, too.
        said = [line for line in process.communicate()[0].splitlines() if line[:1].isdigit()]
        counts.update({what: int(often) for often, _, what in (line.partition(" ") for line in said)})
    return counts, any(process.returncode != 0 for process in parts)


def _part(arguments: argparse.Namespace) -> int:
    """One process's share; prints what happened, a count a line."""
    world, counts, left, seed = World(arguments.database), Counter[str](), arguments.programs, arguments.seed
    while left > 0:
        try:
            counts += run(world, seed, min(left, CHUNK))
        except Exception as error:
            notes = "\n".join(getattr(error, "__notes__", ()))
            print(f"seed {seed}: {type(error).__name__}: {error}\n{notes}", file=sys.stderr)
            print(
                f"run it again: python -m tests.model --programs {CHUNK} --processes 1 --seed {seed}", file=sys.stderr
            )
            return 1
        left, seed = left - CHUNK, seed + 1
    print("\n".join(f"{often} {what}" for what, often in counts.items()))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
