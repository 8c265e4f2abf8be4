"""A running trial: what an objective is called with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpeak import constraints as limits
from tpeak import preemption
from tpeak.distributions import CategoricalDistribution, Choice, Distribution, FloatDistribution, IntDistribution
from tpeak.errors import AlreadyFinished, InvalidValue, Preempted
from tpeak.frozen import FrozenTrial, create_trial, intermediate_costs, intermediate_values
from tpeak.heartbeat import Lease
from tpeak.outcome import Outcome
from tpeak.parameters import Parameters
from tpeak.parcel import Parcel
from tpeak.reports import Reports, as_step, report_row
from tpeak.states import TrialState
from tpeak.wire import encode, plain

if TYPE_CHECKING:
    from tpeak.study import Study

__all__ = ["Checkpoint", "FrozenTrial", "Trial", "TrialState", "create_trial"]

ATTRIBUTE_BYTES = 500_000
"""Room for a trial's attributes: they travel with its result, in a body of at most 1 MiB."""

NAME_CHARACTERS = 255
"""Of an attribute's key."""

CHECKPOINT_CHARACTERS = 4096
"""Of what says where a checkpoint lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a trial's training can be taken up again: a path or name of the user's, and the last step in it."""

    checkpoint: str | None = None
    step: int | None = None


class Trial:
    """One set of parameters to try. Made by `Study.ask` and `Study.optimize`."""

    def __init__(self, study: Study, issued: dict[str, Any], lease: Lease) -> None:
        self._study = study
        self._lease = lease
        self._number: int = issued["number"]
        self._origin: str | None = issued.get("origin")
        self._attempt: int = issued["attempt"]
        self._parameters = Parameters(issued, lease)
        self._reports = Reports(
            self._number,
            lease,
            study._routes,
            clock=study._connection.heartbeat.clock,
            used=lambda: list(self._parameters.values),
            earlier=issued["reports"],
        )
        self._user_attrs: dict[str, Any] = dict(issued["user_attrs"])
        self._new_attrs: dict[str, Any] = {}
        self._constraints: dict[str, float] = {}
        resumed = issued.get("resume_from")
        self._resume_from = None if resumed is None else Checkpoint(**resumed)
        self._checkpoint = self._resume_from or Checkpoint()  # the former worker's is as good until there is another
        self._started = datetime.now(UTC)
        self._ending: Parcel | None = None  # its result, once that is being told
        self._kept: list[Path] = []  # where the result waits on disk meanwhile
        self._preempted = False
        self._released = False
        self._result: FrozenTrial | None = None

    def __repr__(self) -> str:
        return f"Trial(number={self._number}, params={self.params})"

    @property
    def study(self) -> Study:
        """The study it belongs to."""
        return self._study

    @property
    def number(self) -> int:
        """Its number in the study, from 0."""
        return self._number

    @property
    def params(self) -> dict[str, Any]:
        """The values suggested so far, by name."""
        return dict(self._parameters.values)

    @property
    def distributions(self) -> dict[str, Distribution]:
        """The ranges asked for so far, by name."""
        return dict(self._parameters.distributions)

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The attributes set so far, by name."""
        return dict(self._user_attrs)

    @property
    def constraints(self) -> dict[str, float]:
        """The constraints set so far, by name."""
        return dict(self._constraints)

    @property
    def datetime_start(self) -> datetime:
        """When this worker got it, by this machine's clock, in UTC."""
        return self._started

    @property
    def resume_from(self) -> Checkpoint | None:
        """The checkpoint with which a former worker gave it back, None where it is to be computed from the start."""
        return self._resume_from

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A float in [low, high]; with `step` one of low, low + step, ...; with `log` spread over magnitudes.

        The same name gives the same value throughout a trial. Raises InvalidDistribution, a ValueError, for a range
        that contradicts itself, or the name's earlier kind or scale.
        """
        return float(self._suggest(name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer of low, low + step, ... up to high; with `log` spread over magnitudes. See `suggest_float`."""
        return int(self._suggest(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Any:
        """One of the choices: None, booleans, numbers or strings. See `suggest_float`."""
        return self._suggest(name, CategoricalDistribution(choices))

    def report(self, value: float | Sequence[float], step: int, *, cost: float | None = None) -> None:
        """Tell the server the objective's value at a step, an integer from 0; `should_prune` then knows its decision.

        In a study of several objectives `value` is a sequence with a number for each. `cost` is what the training since
        the last report took, in whatever unit: seconds, samples. Of two reports for a step the first counts. While the
        server is out of reach the reports are held back and sent with the next one. Raises TypeError for a value that
        is no number, ValueError for a negative step, another number of values, and a cost that is negative, infinite or
        NaN.
        """
        row = report_row(value, step, cost, objectives=len(self._study._directions))
        self._obey()
        self._need_running("nothing can be reported")
        self._reports.add(row)

    def should_prune(self) -> bool:
        """Whether to give up, by raising TrialPruned: the server's decision on the last report, or a cancellation.

        Of a cancelled trial TrialPruned makes a failed one, whose cause is "cancelled".
        """
        preemption.heed()
        self._obey()
        return self._reports.prune or self._lease.cancelled

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep something that JSON can hold with the trial; it travels with the result.

        Raises InvalidValue, a ValueError, for what JSON cannot hold or what exceeds 500 kB together.
        """
        key, value = plain(key), plain(value)
        if not isinstance(key, str) or not 1 <= len(key) <= NAME_CHARACTERS:
            raise InvalidValue(f"an attribute's key must be a string of 1 to {NAME_CHARACTERS} characters")
        attrs = {**self._new_attrs, key: value}
        if self._result is not None:
            self._study._routes.change_trial(self._result.number, user_attrs={key: value})
        elif len(encode(attrs)) > ATTRIBUTE_BYTES:
            raise InvalidValue(f"attribute {key!r} is too large: a trial holds {ATTRIBUTE_BYTES // 1000} kB of them")
        self._new_attrs = attrs
        self._user_attrs[key] = value

    def set_constraint(self, key: str, value: float) -> None:
        """Say how far the trial is from meeting a constraint: at most 0 if it does; it travels with the result.

        The sampler prefers trials that meet all, then those that violate them least in sum; the first value of a key
        stands, with a warning of another one. Raises TypeError for a value that is no number, InvalidValue, a
        ValueError, for NaN (a constraint that cannot be computed is violated by infinity) and for more than 16.
        """
        self._need_running("no constraint can be set")
        limits.add_to(self._constraints, key, value)

    def set_checkpoint(self, checkpoint: str | os.PathLike[str], step: int | None = None) -> None:
        """Note where the training can be taken up again, after which step. Nothing is sent.

        It goes along when the trial is given back, by `release` or because of SIGTERM or SIGUSR1; the next worker then
        finds it in `resume_from`, and the steps reported up to it stay reported. Raises InvalidValue, a ValueError, for
        more than 4,096 characters.
        """
        place = plain(os.fspath(checkpoint))
        if not isinstance(place, str):
            raise TypeError(f"checkpoint must be a string or path, got a {type(checkpoint).__name__}")
        if len(place) > CHECKPOINT_CHARACTERS:
            raise InvalidValue(f"a checkpoint must have at most {CHECKPOINT_CHARACTERS} characters; give its path")
        self._checkpoint = Checkpoint(checkpoint=place, step=None if step is None else as_step(step))

    def release(self, checkpoint: str | os.PathLike[str] | None = None, step: int | None = None) -> None:
        """Give the trial back, so that another worker takes it up; the objective should return afterwards.

        No attempt is used up. Without `checkpoint` the last one of `set_checkpoint` goes along. Raises LeaseLost where
        another worker has the trial; where the server is out of reach, a warning says that the lease must expire.
        """
        self._need_running("it cannot be released")
        if checkpoint is not None:
            self.set_checkpoint(checkpoint, step)
        self._study._held.release(self)

    def fail(self, cause: str | None = None, retry: bool = False) -> None:
        """End the trial as failed; the objective should return afterwards.

        With `retry` it is tried again with the same parameters, elsewhere if possible; that uses up an attempt. Raises
        LeaseLost where another worker has the trial.
        """
        self._need_running("it cannot fail")
        text = None if cause is None else plain(str(cause))
        self._study._held.finish(self, Outcome(state=TrialState.FAILED, cause=text, retry=retry))

    @property
    def _over(self) -> bool:
        return self._released or self._result is not None

    def _suggest(self, name: str, asked: Distribution) -> Any:
        preemption.heed()
        self._obey()
        return self._parameters.suggest(name, asked)

    def _obey(self) -> None:
        if self._preempted:
            raise Preempted(f"trial {self._number} was handed back because of a signal")

    def _need_running(self, otherwise: str) -> None:
        if self._result is not None:
            raise AlreadyFinished(f"trial {self._number} is finished; {otherwise} any more")
        if self._released:
            raise AlreadyFinished(f"trial {self._number} was given back; {otherwise} any more")

    def _tell_body(self, outcome: Outcome) -> dict[str, Any]:
        body = {"lease": self._lease.token, "used": list(self._parameters.values), **outcome.wire()}
        if self._new_attrs:
            body["user_attrs"] = self._new_attrs
        return body | limits.to_wire(self._constraints)

    def _frozen(self, outcome: Outcome) -> FrozenTrial:
        """The trial, ended so, as this worker knows it."""
        reports = list(self._reports.rows.values())
        return FrozenTrial(
            number=self._number,
            state=outcome.state,
            values=outcome.values,
            params=self.params,
            distributions=self.distributions,
            user_attrs=self.user_attrs,
            constraints=self.constraints,
            intermediate_values=intermediate_values(reports),
            intermediate_costs=intermediate_costs(reports),
            datetime_start=self._started,
            datetime_complete=datetime.now(UTC),
            cause=outcome.cause,
            origin=self._origin,
            attempt=self._attempt,
        )
