"""The loop of `Study.optimize`: in this thread, in threads, or in any executor."""

from __future__ import annotations

import gc
import logging
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tpeak import preemption
from tpeak.errors import (
    Conflict,
    InternalError,
    InvalidValue,
    NoTrialYet,
    Preempted,
    StudyFinished,
    TrialPruned,
    Unauthorized,
    Unavailable,
)
from tpeak.outcome import Outcome, describe, judge
from tpeak.progress import Progress
from tpeak.states import TrialState

if TYPE_CHECKING:
    from tpeak.frozen import FrozenTrial
    from tpeak.study import Study
    from tpeak.trial import Trial

log = logging.getLogger("tpeak")

Kinds: TypeAlias = tuple[type[Exception], ...]

HEED_S = 0.5
"""How long a signal whose exception was lost may go unnoticed while trials run in threads."""

ENDS = (None, "exhausted")
"""Reasons for a study's end that are as it should be: the budget is used up, every point was tried."""

SAME_PAUSE_S = 1.0
"""Two replies that put the end of a host's pause so close together speak of the same pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came of one try for a trial: the trial, or why there was none. It travels back from executors."""

    trial: FrozenTrial | None = None
    retry_after_s: float | None = None
    done: bool = False
    stop: bool = False
    reason: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Ask, compute, tell, once; it pickles if study and objective do.

    `until` is when this worker's wall time is over, in Unix seconds: other machines may compute it.
    """

    study: Study
    func: Callable[[Trial], Any]
    catch: Kinds
    retry_on: Kinds
    gc_after_trial: bool
    until: float | None
    resumable: bool

    def __call__(self, stop: threading.Event | None = None) -> Turn:
        """One turn. `study.stop()` within it sets `stop`, and is told by the result to those who share no event."""
        stop = stop or threading.Event()
        if stop.is_set():
            return Turn(stop=True)  # queued behind the trial that stopped the loop
        with self.study._in_loop(stop), preemption.watching():  # a pool's process is watched while it computes
            try:
                return self._turn(stop)
            except Preempted:
                preemption.conclude()
                return Turn(stop=True)

    def _turn(self, stop: threading.Event) -> Turn:
        left_s = None if self.until is None else self.until - time.time()
        try:
            trial = self.study._held.issue(wall_time_s=left_s, resumable=self.resumable, note=preemption.begin)
        except NoTrialYet as pause:
            return Turn(retry_after_s=pause.retry_after_s, reason=pause.reason, message=str(pause))
        except StudyFinished as end:
            return Turn(done=True, reason=end.reason, message=str(end))
        try:
            result = compute(self.study, trial, self.func, catch=self.catch, retry_on=self.retry_on)
        finally:
            if self.gc_after_trial:
                gc.collect()
        return Turn(trial=result, stop=stop.is_set() or preemption.signalled())


def compute(
    study: Study, trial: Trial, func: Callable[[Trial], Any], *, catch: Kinds, retry_on: Kinds
) -> FrozenTrial | None:
    """The finished trial; None where it is not finished (released, or tried again), or another worker's.

    The objective's exception is raised again, after the trial has failed for it, unless it is one of `catch` or
    `retry_on`; Preempted, once the trial was handed back. A server that does not answer, or refuses the token, makes no
    trial fail, unless `retry_on` has such an error tried again.
    """
    try:
        if preemption.signalled():
            raise Preempted("a signal came while the trial was asked for")
        outcome, error = _outcome(func, trial, retry_on, len(study.directions))
        if trial._lease.pid != os.getpid():
            raise error or RuntimeError("a process that the objective forked came back from it; it should exit instead")
        if error is not None and preemption.signalled():
            raise Preempted("the objective was interrupted") from error  # a DataLoader's children died first, say
        if _is_outage(error) and not outcome.retry and not trial._over:
            log.warning(
                "trial %d is left to its lease, for any worker to try again once that is over: %s", trial.number, error
            )
            study._held.abandon(trial)
        elif _to_be_told(trial, outcome) and not _tell(study, trial, outcome, error):
            error = None
        if error is not None and not isinstance(error, catch + retry_on):
            raise error
    except Preempted:
        preemption.hand_back([trial])
        raise
    except BaseException:
        study._held.abandon(trial)  # SystemExit and the like: nobody will tell, so the lease must be let go
        raise
    finally:
        preemption.end(trial)
    result = trial._result
    return result if result is not None and result.state.is_finished() else None


def _is_outage(error: BaseException | None) -> bool:
    """Whether nothing is wrong with the trial, and all with the way to the server."""
    return isinstance(error, (Unavailable, Unauthorized)) and not isinstance(error, InternalError)


def _outcome(
    func: Callable[[Trial], Any], trial: Trial, retry_on: Kinds, objectives: int
) -> tuple[Outcome, BaseException | None]:
    try:
        values = func(trial)
    except TrialPruned:
        if trial._lease.cancelled:
            return Outcome(state=TrialState.FAILED, cause="cancelled"), None
        return Outcome(state=TrialState.PRUNED), None
    except (Exception, KeyboardInterrupt) as error:
        retry = isinstance(error, retry_on)
        return Outcome(state=TrialState.FAILED, cause=describe(error), retry=retry), error
    return judge(values, None, objectives), None


def _to_be_told(trial: Trial, outcome: Outcome) -> bool:
    """Whether there is a result yet to be told. A thread, which no signal ends, may have one after the handing back."""
    if trial._preempted and trial._result is None:
        return outcome.state == TrialState.COMPLETE
    return not trial._over


def _tell(study: Study, trial: Trial, outcome: Outcome, error: BaseException | None) -> bool:
    """Tell the outcome; whether the objective's error is still news."""
    lost = isinstance(error, Conflict)
    try:
        _log(study._held.finish(trial, outcome, anew=not lost))
    except Conflict as refusal:
        warnings.warn(f"trial {trial.number} counts without this worker's result: {refusal}", stacklevel=3)
        return not lost  # else the objective ended because of the same loss
    return True


def _log(trial: FrozenTrial) -> None:
    if trial.state == TrialState.FAILED:
        log.warning("trial %d failed with parameters %s: %s", trial.number, trial.params, trial.cause)
    elif trial.state == TrialState.WAITING:
        log.warning("trial %d is to be tried again: %s", trial.number, trial.cause)
    else:
        log.info("trial %d is %s: %s with parameters %s", trial.number, trial.state, trial.values, trial.params)


class Loop:
    """One call of `Study.optimize`: how many trials it may still begin, and what it does with the finished ones."""

    def __init__(
        self,
        task: Task,
        *,
        n_trials: int | None,
        timeout: float | None,
        callbacks: Iterable[Callable[[Study, FrozenTrial], None]],
        progress: Progress,
    ) -> None:
        self._task = task
        self._left = n_trials
        self._end = None if timeout is None else time.monotonic() + timeout
        self._callbacks = list(callbacks)
        self._progress = progress
        self._stop = threading.Event()
        self._resume_at = 0.0  # on the monotonic clock: before that no ask would bring a trial
        self._said: str | None = None
        self._host_paused_until = 0.0

    def run(self, executor: Executor | None, n_jobs: int) -> None:
        """All of it. Raises InvalidValue, a ValueError, for a number of jobs that is none."""
        slots = slots_of(executor, n_jobs)
        with preemption.watching():
            try:
                self._run(executor, slots)
            except Preempted:  # in a callback, or while it waited
                preemption.conclude()

    def _run(self, executor: Executor | None, slots: int) -> None:
        if executor is not None:
            self._run_in(executor, slots)
        elif slots == 1:
            self._run_here()
        else:
            with ThreadPoolExecutor(slots, thread_name_prefix="tpeak") as threads:
                self._run_in(threads, slots)

    def _run_here(self) -> None:
        """One trial after the other, in this thread."""
        while self._may_begin():
            self._take(self._begin()(self._stop))
            self._stop.wait(self._pause())

    def _run_in(self, executor: Executor, slots: int) -> None:
        """As many trials at once as there are slots. The first exception ends it, once the running ones are through."""
        running: set[Future[Turn]] = set()
        # An event is shared with threads, and cannot be sent to other processes.
        stop = (self._stop,) if isinstance(executor, ThreadPoolExecutor) else ()
        try:
            while running or self._may_begin():
                while len(running) < slots and self._may_begin() and not self._pause():
                    with preemption.deferred():  # an executor would lose sight of a thread that it is starting
                        running.add(executor.submit(self._begin(), *stop))
                running = self._take_finished(running)
                if self._stop.is_set():
                    running = {future for future in running if not future.cancel()}
        except Preempted:
            preemption.conclude()
        finally:
            self._stop.set()
            self._settle([future for future in running if not future.cancel()])

    def _settle(self, running: list[Future[Turn]]) -> None:
        """Wait for what still runs. A signal hands that back first, and objectives end at their trial's next word."""
        try:
            _wait(running, None, ALL_COMPLETED)
        except Preempted:
            preemption.conclude()
            wait(running)

    def _take_finished(self, running: set[Future[Turn]]) -> set[Future[Turn]]:
        """Wait for a finished trial, or for the end of a pause; what is still running."""
        if not running:
            self._stop.wait(self._pause())
            return running
        finished, running = _wait(running, self._pause() or None, FIRST_COMPLETED)
        for future in finished:
            self._take(future.result())
        return running

    def _may_begin(self) -> bool:
        over = self._end is not None and time.monotonic() >= self._end
        return not (over or self._stop.is_set() or self._left == 0)

    def _begin(self) -> Task:
        """The task, counted as begun."""
        if self._left is not None:
            self._left -= 1
        return self._task

    def _take(self, turn: Turn) -> None:
        self._say(turn)
        if turn.done or turn.stop:
            self._stop.set()
        if turn.retry_after_s is not None:
            self._resume_at = max(self._resume_at, time.monotonic() + turn.retry_after_s)
            if self._left is not None:
                self._left += 1  # it came to no trial
        if turn.trial is None:
            return
        self._progress.add(turn.trial)
        with self._task.study._in_loop(self._stop):
            for callback in self._callbacks:
                callback(self._task.study, turn.trial)

    def _say(self, turn: Turn) -> None:
        """Log why there was no trial, once where it stays so."""
        if turn.reason == "host_paused":
            until = time.monotonic() + (turn.retry_after_s or 0.0)
            if until > self._host_paused_until + SAME_PAUSE_S:
                log.warning("%s", turn.message)
            self._host_paused_until = until
        elif turn.done and not self._stop.is_set():
            log.log(logging.INFO if turn.reason in ENDS else logging.WARNING, "%s", turn.message)
        elif turn.reason is not None and turn.reason != self._said:
            log.info("%s", turn.message)
        self._said = turn.reason

    def _pause(self) -> float:
        """Seconds until it makes sense to ask again, but no more than are left."""
        until = self._resume_at if self._end is None else min(self._resume_at, self._end)
        return max(0.0, until - time.monotonic())


def _wait(
    running: Collection[Future[Turn]], timeout: float | None, return_when: str
) -> tuple[set[Future[Turn]], set[Future[Turn]]]:
    """As `concurrent.futures.wait`, but it looks up every HEED_S: see `preemption.heed`."""
    end = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        preemption.heed()
        left = end - time.monotonic()
        finished, rest = wait(running, timeout=max(0.0, min(left, HEED_S)), return_when=return_when)
        if not rest or left <= HEED_S or (finished and return_when == FIRST_COMPLETED):
            return finished, rest


def slots_of(executor: Executor | None, n_jobs: int) -> int:
    """How many trials may run at once: what `n_jobs` says, or else as many as the executor has workers."""
    if n_jobs < 1 and n_jobs != -1:
        raise InvalidValue(f"n_jobs must be at least 1, or -1 for one a CPU, got {n_jobs}")
    if n_jobs == -1:
        return os.cpu_count() or 1
    if n_jobs == 1 and executor is not None:
        return int(getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
    return n_jobs
