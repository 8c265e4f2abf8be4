"""Keeps the leases of this process's trials alive while their objectives compute."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tpeak.errors import Conflict, NotFound, TpeakError, Unavailable

if TYPE_CHECKING:
    from tpeak.transport import Client

log = logging.getLogger("tpeak")

RENEWALS_PER_LEASE = 3
"""A lease survives two lost renewals."""

RETRY_S = 2.0
"""Until the next try where the server was not reached; a lease without much time left is tried earlier."""

IDLE_S = 60.0
"""How long the thread sleeps without a lease to renew; a new lease wakes it."""


class Lease:
    """One trial's lease as this process knows it. Times are monotonic seconds.

    `renewed_at` is when the request that last renewed it was *sent*: the server cannot have counted from earlier.
    `incarnation` is the database's when the lease was given.
    """

    def __init__(
        self, client: Client, path: str, token: str, seconds: float, sent_at: float, incarnation: str | None = None
    ) -> None:
        self.client = client
        self.path = path
        self.token = token
        self.seconds = seconds
        self.renewed_at = sent_at
        self.incarnation = incarnation
        self.pid = os.getpid()
        self.lost = False
        self.cancelled = False

    def renew(self, reply: dict[str, Any], sent_at: float) -> None:
        """Take over what the reply to a report or heartbeat says."""
        self.seconds = float(reply["lease_seconds"])
        self.renewed_at = max(self.renewed_at, sent_at)
        self.cancelled = self.cancelled or bool(reply["cancel"])

    def due_at(self) -> float:
        """When it should be renewed next."""
        return self.renewed_at + self.seconds / RENEWALS_PER_LEASE


class Heartbeat:
    """Renews the leases it holds, from one daemon thread that starts with the first lease.

    It refers to leases weakly: those of a study that nobody has any more are given up to other workers. A forked child
    starts without any: the parent renews its own. With `threaded` off nothing happens but by `renew_due`.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, threaded: bool = True) -> None:
        self.clock = clock
        self._threaded = threaded
        self._start_over()
        _heartbeats.add(self)

    def _start_over(self) -> None:
        self._leases: weakref.WeakSet[Lease] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        with self._lock:
            self._leases.add(lease)
            self._wake.set()
            if self._threaded and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="tpeak-heartbeat", daemon=True)
                self._thread.start()

    def drop(self, lease: Lease) -> None:
        """Renew this lease no more."""
        with self._lock:
            self._leases.discard(lease)

    def renew_due(self) -> float:
        """Renew what is due; the seconds until something will be."""
        pause = IDLE_S
        silent = set()
        for lease in self._held():
            if lease.due_at() <= self.clock() and lease.client not in silent and not self._renewed(lease):
                silent.add(lease.client)  # its other leases would wait for the same dead server
            if lease.client in silent:
                pause = min(pause, RETRY_S, lease.seconds / (2 * RENEWALS_PER_LEASE))
            elif not lease.lost:
                pause = min(pause, lease.due_at() - self.clock())
        return max(pause, 0.0)

    def _held(self) -> list[Lease]:
        with self._lock:
            return sorted(self._leases, key=Lease.due_at)

    def _renewed(self, lease: Lease) -> bool:
        """Whether the server was reached; what it said is noted on the lease."""
        sent_at = self.clock()
        try:
            reply = lease.client.post(lease.path + "/heartbeat", {"lease": lease.token}, deadline_s=0.0)
        except (Conflict, NotFound) as error:
            log.debug("%s: %s", lease.path, error)
            lease.lost = True
            self.drop(lease)
        except Unavailable as error:
            log.debug("%s: %s", lease.path, error)
            return False
        except TpeakError as error:
            # A revoked token, say: the trial's own requests will tell the user, another try comes a period later.
            log.debug("%s: %s", lease.path, error)
            lease.renewed_at = sent_at
        else:
            lease.renew(reply, sent_at)
        return True

    def _run(self) -> None:
        wake = self._wake
        while True:
            wake.clear()  # before looking: a lease that is added while it looks sets it again
            try:
                pause = self.renew_due()
            except Exception:
                # Without this thread every trial of the process would be lost: it outlives whatever goes wrong.
                log.exception("a heartbeat failed; the next one comes in %s s", RETRY_S)
                pause = RETRY_S
            wake.wait(pause)


_heartbeats: weakref.WeakSet[Heartbeat] = weakref.WeakSet()


def _forget_the_parents() -> None:
    for heartbeat in list(_heartbeats):
        heartbeat._start_over()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forget_the_parents)
