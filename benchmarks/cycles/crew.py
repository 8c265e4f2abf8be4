"""Processes that each run one client's loop of ask, report and tell, as training jobs would.

A member is a command. It says `ready` when it is connected, gets the moments between which to work, and in the end
answers with the moments of its cycles: when each one's ask, report and tell began, and when the tell had ended. All
moments are of the machine's monotonic clock, which its processes share.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cycles.cycle import Measured

LEAD_S = 0.5
"""Between the order to work and the moment it is for."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Step = Callable[[int, list[float]], None]
"""Runs the member's cycle of that number, and adds the moment at which each call ended."""


def work(
    seconds: float, warmup_s: float, commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> Measured:
    """What the members' cycles took that ended in `seconds` after the warm-up.

    Where members run out of work before, the time that counts ends with the first of them. `commands` are modules, seen
    from the folder above this one, with their arguments.
    """
    members = [_Member(command, environment) for command in commands]
    try:
        for member in members:
            member.expect_ready()
        begin = time.monotonic() + LEAD_S
        for member in members:
            member.order(begin, begin + warmup_s + seconds)
        return measure([member.answer() for member in members], begin + warmup_s, begin + warmup_s + seconds)
    finally:
        for member in members:
            member.end()


def measure(answers: Sequence[Mapping[str, Any]], begin: float, end: float) -> Measured:
    """What the cycles took that ended between the moments; a member that had nothing left to do says so.

    Raises RuntimeError where that was before the first moment.
    """
    exhausted = [answer["cycles"][-1][-1] for answer in answers if answer["exhausted"]]
    end = min([end, *exhausted])
    if end <= begin:
        raise RuntimeError("a client had nothing left to do when the warm-up ended: there is too little work")
    measured = Measured(seconds=end - begin)
    for answer in answers:
        for times in answer["cycles"]:
            if begin <= times[-1] < end:
                measured.add(times)
    return measured


def serve(step: Step, limit: int | None = None) -> None:
    """A member's side: works as ordered, `limit` cycles at most."""
    print("ready", flush=True)
    line = sys.stdin.readline()
    if not line:
        return  # the one that started it has given up
    order = json.loads(line)
    time.sleep(max(0.0, order["begin"] - time.monotonic()))
    cycles: list[list[float]] = []
    while time.monotonic() < order["end"] and len(cycles) != limit:
        times = [time.monotonic()]
        step(len(cycles), times)
        cycles.append(times)
    print(json.dumps({"cycles": cycles, "exhausted": len(cycles) == limit}), flush=True)


class _Member:
    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=Path(__file__).parents[1], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD, **environment},
        )  # fmt: skip

    def expect_ready(self) -> None:
        if self._line() != "ready\n":
            raise RuntimeError("a client said something else than that it is ready")

    def order(self, begin: float, end: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"begin": begin, "end": end}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._line())
        return found

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a client ended (exit code {self._process.wait()}); its messages are above")
        return line
