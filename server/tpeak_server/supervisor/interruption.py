"""Signals that ask the supervisor to stop, noticed where it waits and nowhere else.

A handler that raised would cut any statement in two; this one only takes a note, and every wait of the supervisor goes
through `pause`.
"""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any

from tpeak_server.supervisor.refusals import Interrupted

SLICE_S = 0.05
"""How long a signal may go unnoticed."""

STOPPING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class Interruption:
    """Within its `with` block the stopping signals are noted; one that is ignored (nohup) stays ignored."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def pause(self, seconds: float) -> None:
        """Waits. Raises Interrupted once a signal has come."""
        deadline = time.monotonic() + seconds
        while True:
            if self.received is not None:
                raise Interrupted
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, SLICE_S))

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
