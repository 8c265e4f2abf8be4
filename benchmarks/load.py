"""The load, one light process: `python benchmarks/load.py CONNECT_FILE KIND SPEC` prints one JSON object with what it
measured. KIND names the loop, SPEC is a JSON object with its fields.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from cycles import closed_loop, open_loop, steady_load
from cycles.closed_loop import ClosedLoop
from cycles.cycle import Measured
from cycles.open_loop import OpenLoop
from cycles.steady_load import SteadyLoad
from server import Address, address_of

Run = Callable[[Address, Any], Coroutine[Any, Any, Measured]]

KINDS: Mapping[str, tuple[type, Run]] = {
    "closed": (ClosedLoop, closed_loop.run),
    "open": (OpenLoop, open_loop.run),
    "steady": (SteadyLoad, steady_load.run),
}


def drive(address: Address, loop: ClosedLoop | OpenLoop | SteadyLoad) -> Measured:
    """What the loop measured, run in a process of its own. Raises CalledProcessError where that fails."""
    kind = next(name for name, (made, _) in KINDS.items() if isinstance(loop, made))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as connect_file:
        json.dump({"url": f"http://{address.host}:{address.port}", "token": address.token}, connect_file)
        connect_file.flush()
        words = [sys.executable, __file__, connect_file.name, kind, json.dumps(asdict(loop))]
        found = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    return Measured(**json.loads(found.stdout))


def main() -> None:
    """Runs the loop that the arguments name."""
    connect_file, kind, spec = sys.argv[1:]
    made, run = KINDS[kind]
    began, cpu_began = time.perf_counter(), time.process_time()
    measured = uvloop.run(run(address_of(Path(connect_file)), made(**json.loads(spec))))
    measured.load_s, measured.load_cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    # Buffered in any case: where Python runs unbuffered, print() loses what a pipe does not take at once.
    with open(sys.stdout.fileno(), "w", closefd=False) as answer:
        json.dump(asdict(measured), answer)


if __name__ == "__main__":
    main()
