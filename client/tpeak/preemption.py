"""SIGTERM and SIGUSR1 while trials are computed: they are handed back at once, and cost no attempt.

A signal's handler runs in the main thread, between two of the objective's instructions. There it raises Preempted, so
that the objective ends; what it was computing is then released with its last checkpoint. Objectives in other threads
cannot be interrupted: theirs are released all the same, and the next word that they exchange with their trial raises
Preempted there.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from tpeak.errors import Preempted

if TYPE_CHECKING:
    from tpeak.trial import Trial

log = logging.getLogger("tpeak")

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What batch systems send to a job that has to go: at the end, and some time before it."""

HAND_BACK_S = 4.0
"""How long the trials of a process are tried to be handed back, together; then their leases have to expire."""

REPEAT_S = 5.0
"""A signal that comes again within this is the same one: launchers pass on what the batch system sent as well."""

_computing: dict[int, Trial] = {}
"""What the calls of `optimize` in this process are computing, by identity."""

_watch: Watch | None = None


def begin(trial: Trial) -> None:
    """From now on a signal hands the trial back."""
    _computing[id(trial)] = trial


def end(trial: Trial) -> None:
    """A signal is no more the trial's business."""
    _computing.pop(id(trial), None)


def signalled() -> bool:
    """Whether a signal has come, so that nothing new should begin."""
    return _watch is not None and _watch.signal is not None


def hand_back(trials: Iterable[Trial]) -> None:
    """Release the trials, as many as the time allows."""
    until = time.monotonic() + HAND_BACK_S
    for trial in trials:
        end(trial)
        try:
            trial._study._held.hand_back(trial, max(0.1, until - time.monotonic()))
        except Exception:
            # The others have to go back all the same, and the process to end.
            log.exception("trial %d was not handed back; its lease will expire", trial.number)


@contextmanager
def watching() -> Iterator[None]:
    """Within this the signals preempt. Only where a handler can be installed, the main thread, and once a process."""
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch = watch = Watch()
    try:
        watch.install()
        yield
    finally:
        try:
            conclude()  # an objective may have swallowed Preempted
        finally:
            watch.restore()
            _watch = None


@contextmanager
def deferred() -> Iterator[None]:
    """A signal raises Preempted after this and not within: for what must not be left half done."""
    watch = _watch
    if watch is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch.deferring = True
    try:
        yield
    finally:
        watch.deferring = False
    if watch.signal is not None and not watch.passed_on:
        raise Preempted(f"{watch.signal.name} during optimize")


def heed() -> None:
    """Raises Preempted where a signal came whose exception was lost: a destructor that it meets swallows it.

    A report does not: an objective that tidies up may well send its last one.
    """
    watch = _watch
    if watch is None or watch.signal is None or watch.passed_on:
        return
    if threading.current_thread() is threading.main_thread():
        raise Preempted(f"{watch.signal.name} during optimize")


def conclude() -> None:
    """After a signal: hand back what this process computes, then let the signal do what it would have done.

    Of SIGUSR1 only a handler of the user's is called; by default it would end the process, which still has time.
    """
    watch = _watch
    if watch is None or watch.signal is None or watch.passed_on:
        return
    if threading.current_thread() is not threading.main_thread():
        return  # the main thread does, where the signal came
    log.warning("%s: the trials of this process are handed back", watch.signal.name)
    hand_back(list(_computing.values()))
    watch.pass_on()


class Watch:
    """The signals' handler; `signal` is the one that came, SIGTERM before SIGUSR1."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.passed_on = False
        self.deferring = False
        self._at = 0.0
        self._pid = os.getpid()
        self._previous: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def install(self) -> None:
        """Take over the signals, but for those that are ignored, or handled by something other than Python."""
        for each in SIGNALS:
            previous = signal.getsignal(each)
            if previous not in (signal.SIG_IGN, None):
                self._previous[each] = previous
                signal.signal(each, self._handle)

    def restore(self) -> None:
        """Put the former handlers back, where nobody has put in others since."""
        for each, previous in self._previous.items():
            if signal.getsignal(each) == self._handle:
                signal.signal(each, previous)

    def pass_on(self) -> None:
        """Let the signal that came do what it would have done."""
        assert self.signal is not None
        self.passed_on = True
        if callable(self._previous[self.signal]) or self.signal == signal.SIGTERM:
            self._let(self.signal)

    def _let(self, number: int) -> None:
        """Have the signal do what it would have done without this."""
        self.restore()
        signal.raise_signal(number)
        if number == signal.SIGTERM and signal.getsignal(number) == signal.SIG_DFL:
            raise SystemExit(128 + number)  # a container's first process is not ended by it

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # forked by something that runs no hooks: not the child's trials
            self._let(number)
            return
        if self.passed_on:  # SIGUSR1's: its trials were handed back, objectives in threads may still have to end
            if number == signal.SIGTERM:
                self._let(number)
            return
        again = self.signal is not None and time.monotonic() - self._at < REPEAT_S
        if self.signal != signal.SIGTERM:
            self.signal = signal.Signals(number)
        if not again:
            self._at = time.monotonic()
            if self.deferring:
                return
            raise Preempted(f"{self.signal.name} during optimize")


_forking = threading.local()


def _hold_signals() -> None:
    """Between the fork and the child's former handlers a signal to the child would be lost: it has to wait."""
    _forking.mask = None if _watch is None else signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _let_signals_go() -> None:
    if _forking.mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _forget_the_parents() -> None:
    """A forked child, a DataLoader's say, meets signals as if tpeak were not there, and has no trials."""
    global _watch
    _computing.clear()
    if _watch is not None:
        _watch.restore()
        _watch = None
    _let_signals_go()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_go, after_in_child=_forget_the_parents)
