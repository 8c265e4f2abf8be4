"""`python -m tests.chaos.hunt [BUG ...]`: plants each bug and sees that the checker finds it, and nothing without it.

Prints a table, bug by bug, of the invariants that were broken; the exit code is 1 if a bug survives, or if the same
plays break anything where no bug is planted.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from tests.chaos.check import describe, violations
from tests.chaos.cluster import cluster, make_postgres
from tests.chaos.facts import gather
from tests.chaos.invariants.finding import Finding
from tests.chaos.mutants import BUGS
from tests.chaos.play import Play
from tests.chaos.scenarios import CASES, Case
from tests.chaos.stage import note_rest
from tpeak_server.supervisor.postgres import Postgres


async def played(
    base: Path, postgres: Postgres, name: str, cases: Sequence[Case], bug: str | None
) -> dict[str, list[Finding]]:
    """What the checker finds after these plays, on servers (or with a client) that have the bug."""
    folder = base / name
    in_client = bug is not None and cases[0].in_client
    async with cluster(folder, postgres, name, 1, mutant=None if in_client else bug) as servers:
        servers.mutant = bug
        play = Play(servers, 1)
        for case in cases:
            try:
                await asyncio.wait_for(case.play(play), 60)
            except Exception as error:
                # A server with a bug may answer anything; what the checker makes of the history counts.
                if bug is None:
                    raise
                (folder / "play.txt").write_text(repr(error))
        await play.recorder.flush()
        await note_rest(servers, {}, drained=False)
        return violations(await asyncio.to_thread(gather, folder, servers.sql_url))


async def hunt(names: Sequence[str]) -> int:
    """The whole hunt; the exit code."""
    base = Path(tempfile.mkdtemp(prefix="tpeak-mutants-", dir="/tmp"))
    base.chmod(0o711)
    postgres = await asyncio.to_thread(make_postgres, base / "data")
    cases = [case for case in CASES if not names or case.bug in names]
    survivors = 0
    try:
        began = time.monotonic()
        clean = await played(base, postgres, "clean", cases, None)
        print(f"{'(none)':<34}{', '.join(clean) or 'no violation':<24}{time.monotonic() - began:5.1f} s", flush=True)
        if clean:
            print(describe(clean))
        for number, case in enumerate(cases):
            began = time.monotonic()
            found = await played(base, postgres, f"mutant{number}", [case], case.bug)
            caught = bool(case.invariants & found.keys())
            survivors += not caught
            verdict = ", ".join(found) if caught else f"SURVIVES ({', '.join(found) or 'no violation'})"
            print(f"{case.bug:<34}{verdict:<24}{time.monotonic() - began:5.1f} s", flush=True)
    finally:
        await asyncio.to_thread(postgres.stop)
        if survivors or clean:
            print(f"the evidence is in {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
    print(f"{len(cases) - survivors} of {len(cases)} planted bugs were caught")
    return 1 if survivors or clean else 0


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - BUGS.keys()
    if unknown:
        sys.exit(f"no such bug: {', '.join(sorted(unknown))}; there are: {', '.join(BUGS)}")
    sys.exit(uvloop.run(hunt(sys.argv[1:])))
