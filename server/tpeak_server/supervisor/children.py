"""The server's processes: started, watched, started again when they die, and ended."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tpeak_server.supervisor.idle import LEFT_IDLE
from tpeak_server.supervisor.refusals import Refused

GRACE_S = 25.0
"""How long they may take to end after SIGTERM."""

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
"""Between a death and the next start; doubled each time."""

STEADY_S = 60.0
"""A process that lived this long starts again without a history."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""A sampler's products are small: threads of the linear algebra would only spin beside those that answer."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Child:
    """One place of a server process: who fills it now, and when the next one may."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay_s: float = FIRST_DELAY_S
    start_at: float = 0.0
    retired: bool = False


class Children:
    """All server processes on one socket. They are spawned before they can serve: loading their code takes a while.

    In `folder`, which is nobody else's, several have the sockets over which they hand connections to each other.
    """

    def __init__(
        self, listener: socket.socket, folder: Path | None, *, count: int, idle_timeout_s: float | None
    ) -> None:
        self.listener = listener
        self._folder = folder
        self._idle_timeout_s = idle_timeout_s
        self._order: dict[str, object] | None = None
        self._places = [Child(number=number) for number in range(count)]

    def spawn(self) -> None:
        """Lets all of them load their code, and wait."""
        for place in self._places:
            self._spawn(place)

    def start(self, *, database_url: str, token: str) -> None:
        """Tells them to serve. What they need goes through a pipe: a command line is everybody's to read."""
        self._order = {
            "database_url": database_url,
            "token": token,
            "idle_timeout_s": self._idle_timeout_s,
            "listener": self.listener.fileno(),
            "folder": self._folder and str(self._folder),
            "count": len(self._places),
        }
        for place in self._places:
            _tell(place, self._order)

    def check_started(self) -> None:
        """Raises Refused where one has ended: before the first answer that is no accident."""
        for place in self._places:
            if place.process is not None and place.process.poll() is not None:
                ending = _ending(place.process.returncode)
                raise Refused(f"the server process ended at once ({ending}); its messages above say why")

    def tend(self) -> bool:
        """Starts again what has died; says whether any is wanted still: all may have left for want of requests."""
        now = time.monotonic()
        for place in self._places:
            if place.process is not None and place.process.poll() is not None:
                self._bury(place, now)
            if place.process is None and not place.retired and now >= place.start_at:
                self._spawn(place)
        return not all(place.retired for place in self._places)

    def _bury(self, place: Child, now: float) -> None:
        assert place.process is not None
        code = place.process.returncode
        _close_stdin(place.process)
        place.process = None
        place.retired = code == LEFT_IDLE
        if not place.retired:
            place.delay_s = FIRST_DELAY_S if now - place.started > STEADY_S else place.delay_s
            place.start_at = now + place.delay_s
            logger.warning("a server process ended (%s); the next starts in %.1f s", _ending(code), place.delay_s)
            place.delay_s = min(2 * place.delay_s, LONGEST_DELAY_S)

    def _spawn(self, place: Child) -> None:
        place.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tpeak_server.supervisor.serving"],
            stdin=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            pass_fds=[self.listener.fileno()],
            start_new_session=True,  # Ctrl-C goes to the parent alone, which tells its children
        )
        place.started = time.monotonic()
        if self._order is not None:
            _tell(place, self._order)

    def end(self) -> None:
        """Ends them; done twice it does no harm."""
        alive = [place.process for place in self._places if place.process is not None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("a server process did not end within %.0f s and is killed", GRACE_S)
                process.kill()
                process.wait()
            _close_stdin(process)


def _tell(place: Child, order: Mapping[str, object]) -> None:
    if place.process is None:
        return
    assert place.process.stdin is not None
    try:
        place.process.stdin.write(json.dumps({**order, "place": place.number}).encode() + b"\n")
        place.process.stdin.flush()
    except BrokenPipeError:
        logger.warning("a server process ended before it was told what to do")


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
