"""A study as a worker sees it: ask, tell, optimize, and the trials so far."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import chain
from typing import Any

from tpeak import constraints as limits
from tpeak.compare import pareto_front, same_params
from tpeak.connection import Connection, job_end
from tpeak.distributions import Distribution
from tpeak.errors import AlreadyFinished, Conflict, InvalidValue
from tpeak.explanation import Explanation, explanation
from tpeak.frozen import FrozenTrial, check, from_wire, to_wire
from tpeak.held import HeldTrials
from tpeak.optimize import Loop, Task
from tpeak.outcome import judge
from tpeak.progress import Progress
from tpeak.prune_replay import PruneReplay, prune_replay
from tpeak.pruners import Pruner
from tpeak.routes import StudyRoutes
from tpeak.states import StudyDirection, TrialState
from tpeak.trial import Trial
from tpeak.wire import plain, settings_out

__all__ = ["Study", "StudyDirection"]

log = logging.getLogger("tpeak")


class Study:
    """A study on the server. Made by `tpeak.create_study` and `tpeak.load_study`; threads may share it.

    It pickles as its URL, token and id, and connects again where it is loaded.
    """

    def __init__(self, connection: Connection, study: dict[str, Any]) -> None:
        self._connection = connection
        self._id: str = study["id"]
        self._name: str = study["name"]
        self._directions = [StudyDirection(direction) for direction in study["directions"]]
        self._start()

    def _start(self) -> None:
        self._routes = StudyRoutes(self._connection.client, self._id)
        self._held = HeldTrials(self, self._connection, self._routes)
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("_connection", "_id", "_name", "_directions")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def __repr__(self) -> str:
        return f"Study({self._name!r}, id={self._id!r}, storage={self._connection.client.url!r})"

    @property
    def study_name(self) -> str:
        """Its name."""
        return self._name

    @property
    def directions(self) -> list[StudyDirection]:
        """For each objective, which values are better."""
        return list(self._directions)

    @property
    def direction(self) -> StudyDirection:
        """Which values are better. Raises RuntimeError where there are several objectives."""
        self._need_one_objective("direction", "directions")
        return self._directions[0]

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The study's attributes, as the server has them now."""
        attrs: dict[str, Any] = self._routes.study()["user_attrs"]
        return attrs

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep something that JSON can hold with the study. Raises InvalidValue, a ValueError, for what it cannot."""
        self._routes.change(user_attrs={plain(key): plain(value)})

    def ask(
        self,
        fixed_distributions: dict[str, Distribution] | None = None,
        *,
        wall_time: float | None = None,
        resumable: bool = False,
    ) -> Trial:
        """A trial to compute and then `tell` about; it stays this process's until then.

        The parameters of `fixed_distributions` are suggested at once. No trial comes that is expected to outlast
        `wall_time`, the seconds left to this worker, unless it can resume, or is `resumable`: will be released with a
        checkpoint in time. Raises NoTrialYet where all trials are out with workers or the study or host is paused,
        StudyFinished where nothing is left for this worker, ServerUnreachable.
        """
        trial = self._held.issue(fixed_distributions, wall_time_s=wall_time, resumable=resumable)
        try:
            for name, distribution in (fixed_distributions or {}).items():
                trial._suggest(name, distribution)
        except BaseException:
            self._held.abandon(trial)  # the caller does not even know its number
            raise
        return trial

    def tell(
        self,
        trial: Trial | int,
        values: float | Sequence[float] | None = None,
        state: TrialState | None = None,
        skip_if_finished: bool = False,
        *,
        constraints: Mapping[str, float] | None = None,
    ) -> FrozenTrial:
        """Finish a trial, and return it as finished.

        Without a state, values that are no numbers (or NaN, or too few) make it failed, with a warning. A result that
        does not reach the server is kept on disk and sent later. `constraints` are as of `Trial.set_constraint`, which
        may have set others. Raises ValueError where state and values contradict
        each other or the trial has another result already (with `skip_if_finished` that one is returned), LeaseLost
        where another worker has it.
        """
        if not isinstance(trial, (Trial, int)):
            raise TypeError(f"trial must be a Trial or its number, got a {type(trial).__name__}")
        known = (self._held.get(trial) or trial) if isinstance(trial, int) else trial
        if isinstance(known, Trial) and known._result is not None:
            if skip_if_finished:
                return known._result
            raise AlreadyFinished(f"trial {known.number} was told to be {known._result.state} already")
        given = limits.checked(constraints or {})
        outcome = judge(values, None if state is None else TrialState(state), len(self._directions))
        if state is None and outcome.cause is not None:
            warnings.warn(
                f"{trial if isinstance(trial, Trial) else f'trial {trial}'} failed: {outcome.cause}", stacklevel=2
            )
        try:
            if isinstance(known, Trial):
                for key, value in given.items():
                    known.set_constraint(key, value)
                return self._held.finish(known, outcome)
            return self._held.tell_number(known, outcome, given)
        except Conflict:
            if not skip_if_finished:
                raise
            finished = from_wire(self._routes.trial(known.number if isinstance(known, Trial) else known))
            if not finished.state.is_finished():
                raise
            return finished

    def optimize(
        self,
        func: Callable[[Trial], float | Sequence[float]],
        n_trials: int | None = None,
        timeout: float | None = None,
        n_jobs: int = 1,
        catch: Iterable[type[Exception]] | type[Exception] = (),
        callbacks: Iterable[Callable[[Study, FrozenTrial], None]] | None = None,
        gc_after_trial: bool = False,
        show_progress_bar: bool = False,
        executor: Executor | None = None,
        retry_on: Iterable[type[Exception]] | type[Exception] = (),
        wall_time: float | None = None,
        resumable: bool = False,
    ) -> None:
        """Compute trials until `n_trials` of this call or `timeout` seconds are used up, `stop`, or the study's end.

        `n_jobs` trials run at once in threads (-1: one a CPU), or in `executor`, for whose processes study and
        objective must pickle; `n_jobs` is then how many, by default all its workers. TrialPruned prunes a trial; an
        exception fails it with its cause and is raised again unless it is one of `catch`; a result that is no number
        fails it with a logged warning. After one of `retry_on` the trial is tried again with the same parameters,
        elsewhere if possible, which uses up an attempt. Callbacks get the study and each finished trial, in this
        thread. While all trials are out with other workers it waits.

        `wall_time` is how many seconds this worker has left (under Slurm what SLURM_JOB_END_TIME leaves): a trial that
        is expected to outlast it goes to others, unless it can resume, or is `resumable`: the objective sets
        checkpoints. Called in the main thread, SIGTERM and SIGUSR1 raise Preempted in the objective and hand back its
        trial with the last checkpoint, at no attempt; SIGTERM then ends the process as ever, SIGUSR1 this call.
        Raises RuntimeError within an objective or callback of this study.
        """
        if self._stop_here() is not None:
            raise RuntimeError("optimize cannot be called within an objective or callback of the same study")
        self._connection.spool.resend(self._connection.client, look=True)
        task = Task(
            study=self,
            func=func,
            catch=_kinds(catch),
            retry_on=_kinds(retry_on),
            gc_after_trial=gc_after_trial,
            until=job_end(os.environ) if wall_time is None else time.time() + wall_time,
            resumable=resumable,
        )
        with Progress(self._directions, n_trials, shown=show_progress_bar) as progress:
            loop = Loop(task, n_trials=n_trials, timeout=timeout, callbacks=callbacks or (), progress=progress)
            loop.run(executor, n_jobs)

    def stop(self) -> None:
        """End the call of `optimize` that is running this objective or callback, after the trials under way.

        Raises RuntimeError anywhere else.
        """
        stop = self._stop_here()
        if stop is None:
            raise RuntimeError("stop is to be called within an objective or callback of this study's optimize")
        stop.set()

    def enqueue_trial(
        self, params: dict[str, Any], user_attrs: dict[str, Any] | None = None, skip_if_exists: bool = False
    ) -> None:
        """Have these values tried next; parameters that are not named are sampled.

        With `skip_if_exists`, not if a trial has them already.
        """
        if not isinstance(params, dict):
            raise TypeError(f"params must be a dict, got a {type(params).__name__}")
        if skip_if_exists and any(same_params(_enqueued(trial) or trial.params, params) for trial in self.get_trials()):
            log.info("a trial with %s is there already", params)
            return
        self._routes.add([{"params": plain(params), "user_attrs": plain(user_attrs or {})}])

    def add_trial(self, trial: FrozenTrial) -> None:
        """Add a trial computed elsewhere, or one to wait. Raises InvalidValue, a ValueError, where it does not fit."""
        self.add_trials([trial])

    def add_trials(self, trials: Iterable[FrozenTrial]) -> None:
        """Add trials computed elsewhere; where one contradicts itself, none is sent. See `add_trial`.

        A request takes 1,000, or 500 kB: of more the server may refuse some, and keep those of the requests before.
        """
        rows = []
        for trial in trials:
            check(trial)
            if trial.values is not None and len(trial.values) != len(self._directions):
                raise InvalidValue(f"{len(trial.values)} value(s) for {len(self._directions)} objective(s)")
            rows.append(to_wire(trial))
        self._routes.add(rows)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials by number, as the server has them now."""
        return self.get_trials()

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """The trials in these states, or all, by number, as the server has them now.

        `deepcopy` is there for Optuna's sake: the trials are the caller's own anyway.
        """
        wanted = [state.value for state in TrialState if states is not None and state in states]
        if states is not None and not wanted:
            return []
        return list(chain.from_iterable(self._routes.trials(wanted)))

    @property
    def best_trial(self) -> FrozenTrial:
        """The complete trial of the best value that meets its constraints, the first among equals.

        Raises NoCompleteTrial, a ValueError, where there is none, and RuntimeError where there are several objectives.
        """
        self._need_one_objective("best_trial", "best_trials")
        return from_wire(self._routes.best())

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of `best_trial`."""
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        """The value of `best_trial`."""
        value = self.best_trial.value
        assert value is not None  # the best trial is complete
        return value

    @property
    def best_trials(self) -> list[FrozenTrial]:
        """The complete trials that meet their constraints and that no other such one dominates.

        One dominates another by being at least as good in all objectives, and better in one.
        """
        return pareto_front(self.get_trials(states=(TrialState.COMPLETE,)), self._directions)

    def explain(self, number: int) -> Explanation:
        """How the trial came by its parameters: its proposal drawn again, and what lies near. Raises TrialNotFound."""
        return explanation(self._routes.explain(number))

    def prune_replay(self, pruner: Pruner | Mapping[str, Any]) -> PruneReplay:
        """What the pruner would have ended early, had it decided on the reports that there are, and what that saves.

        It is one of `tpeak.pruners`, or settings as the server has them, such as `{"name": "median"}`. Nothing is
        changed. Raises InvalidValue, a ValueError, for settings that the server refuses.
        """
        settings = pruner if isinstance(pruner, Mapping) else settings_out(pruner, "pruner")
        return prune_replay(self._routes.prune_replay(settings))

    def cancel_trial(self, number: int, cause: str | None = None) -> None:
        """Have a trial ended: `should_prune` says so to the worker that has it; a waiting one is failed at once.

        Raises TrialNotFound, AlreadyFinished, as the four below.
        """
        self._routes.change_trial(number, action="cancel", cause=cause)

    def fail_trial(self, number: int, cause: str | None = None) -> None:
        """Fail a waiting or running trial at once; the worker that has it loses it."""
        self._routes.change_trial(number, action="fail", cause=cause)

    def retry_trial(self, number: int) -> None:
        """Have a failed or lost trial computed again, with the same parameters and all its attempts."""
        self._routes.change_trial(number, action="retry")

    def exempt_trial(self, number: int) -> None:
        """Have a waiting or running trial not pruned any more, whatever its curve, and however often it is computed."""
        self._routes.change_trial(number, action="exempt")

    def delete_trial(self, number: int) -> None:
        """Have a trial forgotten, by readers and the sampler. Its number is not used again."""
        self._routes.delete_trial(number)

    @contextmanager
    def _in_loop(self, stop: threading.Event) -> Iterator[None]:
        """Within this, in this thread, `stop()` sets the event."""
        self._local.stop = stop
        try:
            yield
        finally:
            self._local.stop = None

    def _stop_here(self) -> threading.Event | None:
        stop: threading.Event | None = getattr(self._local, "stop", None)
        return stop

    def _need_one_objective(self, name: str, instead: str) -> None:
        if len(self._directions) > 1:
            raise RuntimeError(f"{name} has no meaning for several objectives; use {instead}")


def _enqueued(trial: FrozenTrial) -> dict[str, Any]:
    """The values that the trial was enqueued with; a sampler may have fixed some, too."""
    return trial.fixed if trial.origin == "enqueued" else {}


def _kinds(given: Iterable[type[Exception]] | type[Exception]) -> tuple[type[Exception], ...]:
    return tuple(given) if isinstance(given, Iterable) else (given,)
