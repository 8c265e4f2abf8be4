"""The loop of `Study.optimize`: in this thread, in threads, or in any executor."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tpeak.errors import Conflict, InvalidValue, NoTrialYet, StudyFinished, TpeakError, TrialPruned
from tpeak.outcome import Outcome, describe, judge
from tpeak.progress import Progress
from tpeak.states import TrialState

if TYPE_CHECKING:
    from tpeak.frozen import FrozenTrial
    from tpeak.study import Study
    from tpeak.trial import Trial

log = logging.getLogger("tpeak")

Catch: TypeAlias = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came of one try for a trial: the trial, or why there was none. It travels back from executors."""

    trial: FrozenTrial | None = None
    retry_after_s: float | None = None
    done: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Ask, compute, tell, once; it pickles if study and objective do."""

    study: Study
    func: Callable[[Trial], Any]
    catch: Catch
    gc_after_trial: bool

    def __call__(self, stop: threading.Event | None = None) -> Turn:
        """One turn. `study.stop()` within it sets `stop`, and is told by the result to those who share no event."""
        stop = stop or threading.Event()
        if stop.is_set():
            return Turn(stop=True)  # queued behind the trial that stopped the loop
        with self.study._in_loop(stop):
            try:
                trial = self.study._issue()
            except NoTrialYet as pause:
                return Turn(retry_after_s=pause.retry_after_s)
            except StudyFinished as end:
                log.info("%s", end)
                return Turn(done=True)
            try:
                result = compute(self.study, trial, self.func, self.catch)
            finally:
                if self.gc_after_trial:
                    gc.collect()
        return Turn(trial=result, stop=stop.is_set())


def compute(study: Study, trial: Trial, func: Callable[[Trial], Any], catch: Catch) -> FrozenTrial | None:
    """The finished trial; None where the server has it from another worker.

    The objective's exception is raised again, after the trial has failed for it, unless it is one of `catch`.
    """
    try:
        outcome, error = _outcome(func, trial, len(study.directions))
    except BaseException:
        study._abandon(trial)  # SystemExit and the like: nobody will tell, so the lease must be let go
        raise
    result = None
    try:
        result = study._finish(trial, outcome)
    except Conflict as refusal:
        warnings.warn(f"trial {trial.number} counts without this worker's result: {refusal}", stacklevel=2)
        if isinstance(error, Conflict):
            return None  # the objective ended because of the same loss
    except TpeakError:
        study._abandon(trial)
        raise
    else:
        _log(result)
    if error is not None and not isinstance(error, catch):
        raise error
    return result


def _outcome(func: Callable[[Trial], Any], trial: Trial, objectives: int) -> tuple[Outcome, BaseException | None]:
    try:
        values = func(trial)
    except TrialPruned:
        return Outcome(state=TrialState.PRUNED), None
    except (Exception, KeyboardInterrupt) as error:
        return Outcome(state=TrialState.FAILED, cause=describe(error)), error
    return judge(values, None, objectives), None


def _log(trial: FrozenTrial) -> None:
    if trial.state == TrialState.FAILED:
        log.warning("trial %d failed with parameters %s: %s", trial.number, trial.params, trial.cause)
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

    def run(self, executor: Executor | None, n_jobs: int) -> None:
        """All of it. Raises InvalidValue, a ValueError, for a number of jobs that is none."""
        slots = slots_of(executor, n_jobs)
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
                    running.add(executor.submit(self._begin(), *stop))
                running = self._take_finished(running)
                if self._stop.is_set():
                    running = {future for future in running if not future.cancel()}
        finally:
            self._stop.set()
            wait([future for future in running if not future.cancel()])

    def _take_finished(self, running: set[Future[Turn]]) -> set[Future[Turn]]:
        """Wait for a finished trial, or for the end of a pause; what is still running."""
        if not running:
            self._stop.wait(self._pause())
            return running
        finished, running = wait(running, timeout=self._pause() or None, return_when=FIRST_COMPLETED)
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

    def _pause(self) -> float:
        """Seconds until it makes sense to ask again, but no more than are left."""
        until = self._resume_at if self._end is None else min(self._resume_at, self._end)
        return max(0.0, until - time.monotonic())


def slots_of(executor: Executor | None, n_jobs: int) -> int:
    """How many trials may run at once: what `n_jobs` says, or else as many as the executor has workers."""
    if n_jobs < 1 and n_jobs != -1:
        raise InvalidValue(f"n_jobs must be at least 1, or -1 for one a CPU, got {n_jobs}")
    if n_jobs == -1:
        return os.cpu_count() or 1
    if n_jobs == 1 and executor is not None:
        return int(getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
    return n_jobs
