"""A running trial: what an objective is called with."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tpeak.distributions import (
    CategoricalDistribution,
    Choice,
    Distribution,
    FloatDistribution,
    IntDistribution,
    check_compatible,
    from_spec,
)
from tpeak.errors import (
    AlreadyFinished,
    Conflict,
    Invalid,
    InvalidDistribution,
    InvalidValue,
    TpeakError,
    Unavailable,
    UnexpectedReply,
)
from tpeak.frozen import FrozenTrial, create_trial
from tpeak.heartbeat import Lease
from tpeak.outcome import Outcome
from tpeak.states import TrialState
from tpeak.wire import MAX_EXACT_INT, encode, number_in, number_out, plain

if TYPE_CHECKING:
    from tpeak.spool import Spool
    from tpeak.study import Study

__all__ = ["FrozenTrial", "Trial", "TrialState", "create_trial"]

REPORTS_PER_REQUEST = 1000
"""What one request may carry."""

FLUSH_DEADLINE_S = 5.0
"""How long reports that were held back are tried before the result goes."""

ATTRIBUTE_BYTES = 500_000
"""Room for a trial's attributes: they travel with its result, in a body of at most 1 MiB."""


NAME_CHARACTERS = 255
"""Of an attribute's key."""

log = logging.getLogger("tpeak")


class Trial:
    """One set of parameters to try. Made by `Study.ask` and `Study.optimize`."""

    def __init__(self, study: Study, issued: dict[str, Any], lease: Lease) -> None:
        self._study = study
        self._lease = lease
        self._number: int = issued["number"]
        self._proposed: dict[str, Any] = issued["params"]
        self._kinds = {name: spec["type"] for name, spec in issued["distributions"].items()}
        self._fixed: dict[str, Any] = issued.get("fixed") or {}
        self._origin: str | None = issued.get("origin")
        self._attempt: int = issued["attempt"]
        self._params: dict[str, Any] = {}
        self._distributions: dict[str, Distribution] = {}
        self._used_sent = 0
        self._user_attrs: dict[str, Any] = dict(issued["user_attrs"])
        self._new_attrs: dict[str, Any] = {}
        self._reported = {report["step"]: number_in(report["values"][0]) for report in issued["reports"]}
        self._unsent: list[dict[str, Any]] = []
        self._prune = False
        self._loss_noted = False
        self._sending = threading.Lock()  # an objective may report from several threads
        self._started = datetime.now(UTC)
        self._result: FrozenTrial | None = None

    def __repr__(self) -> str:
        return f"Trial(number={self._number}, params={self._params})"

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
        return dict(self._params)

    @property
    def distributions(self) -> dict[str, Distribution]:
        """The ranges asked for so far, by name."""
        return dict(self._distributions)

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The attributes set so far, by name."""
        return dict(self._user_attrs)

    @property
    def datetime_start(self) -> datetime:
        """When this worker got it, by this machine's clock, in UTC."""
        return self._started

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

    def report(self, value: float, step: int) -> None:
        """Tell the server the objective's value at a step, an integer from 0; `should_prune` then knows its decision.

        Of two values for a step the first counts. While the server is out of reach the values are held back and sent
        with the next report. Raises TypeError for a value that is no number, ValueError for a negative step.
        """
        number, step = _as_float(value), _as_step(step)
        if self._result is not None:
            raise AlreadyFinished(f"trial {self._number} is finished; nothing can be reported any more")
        if step in self._reported:
            warnings.warn(f"step {step} was reported before; its first value is kept", stacklevel=2)
            return
        self._reported[step] = number
        if self._lease.lost:
            self._note_loss()
            return
        self._unsent.append({"step": step, "values": [number_out(number)]})
        # Behind an undelivered one it gets a single attempt: training should not stand still at every step.
        self._send_reports(0.0 if len(self._unsent) > 1 else None)

    def should_prune(self) -> bool:
        """Whether to give up, by raising TrialPruned: the server's decision on the last report, or a cancellation."""
        return self._prune or self._lease.cancelled

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep something that JSON can hold with the trial; it travels with the result.

        Raises InvalidValue, a ValueError, for what JSON cannot hold or what exceeds 500 kB together.
        """
        key, value = plain(key), plain(value)
        if not isinstance(key, str) or not 1 <= len(key) <= NAME_CHARACTERS:
            raise InvalidValue(f"an attribute's key must be a string of 1 to {NAME_CHARACTERS} characters")
        attrs = {**self._new_attrs, key: value}
        if self._result is not None:
            self._study._patch(f"/trials/{self._number}", {key: value})
        elif len(encode(attrs)) > ATTRIBUTE_BYTES:
            raise InvalidValue(f"attribute {key!r} is too large: a trial holds {ATTRIBUTE_BYTES // 1000} kB of them")
        self._new_attrs = attrs
        self._user_attrs[key] = value

    def _suggest(self, name: str, asked: Distribution) -> Any:
        if name in self._params:
            return self._again(name, asked)
        covered = self._covers(name, asked)
        value = asked.external(self._proposed[name]) if covered else self._ask_for(name, asked)
        self._params[name] = value
        self._distributions[name] = asked
        return value

    def _again(self, name: str, asked: Distribution) -> Any:
        first = self._distributions[name]
        check_compatible(first, asked)
        if first != asked:
            warnings.warn(f"{name!r} was suggested from {first} before; its value stands", stacklevel=4)
        return self._params[name]

    def _covers(self, name: str, asked: Distribution) -> bool:
        """Whether the value that came with the ask serves for what is asked now."""
        if name in self._fixed or name not in self._proposed or self._kinds.get(name) != asked.kind:
            return False
        return asked.contains(self._proposed[name])

    def _ask_for(self, name: str, asked: Distribution) -> Any:
        body = {"lease": self._lease.token, "name": name, "distribution": asked.spec()}
        reply = self._lease.client.post(self._lease.path + "/suggest", body)
        value = _external(reply["value"], asked, from_spec(reply["distribution"]))
        if not asked.contains(value):
            # An enqueued value, or one that an earlier attempt of this trial got for another range.
            warnings.warn(f"{name}={value!r} is fixed for this trial and outside of {asked}", stacklevel=5)
        return value

    def _send_reports(self, deadline_s: float | None = None) -> None:
        """Send what is held back, and take over the decision. It stays held back where the server is out of reach."""
        lease, clock = self._lease, self._study._connection.heartbeat.clock
        with self._sending:
            while self._unsent and not lease.lost:
                body, sent_at = self._report_body(), clock()
                try:
                    reply = lease.client.post(lease.path + "/report", body, deadline_s=deadline_s)
                except (Unavailable, UnexpectedReply) as failure:
                    # A report is not worth the hours that went into the trial: the objective goes on.
                    if len(self._unsent) == 1:
                        warnings.warn(f"{failure} Reports are held back until it answers.", stacklevel=3)
                    return
                except Conflict:
                    lease.lost = True
                    self._note_loss()
                    return
                self._take(reply, body)
                lease.renew(reply, sent_at)

    def _flush_reports(self, spool: Spool) -> None:
        """Deliver what is held back, before the result: over the disk where the server is still out of reach."""
        lease = self._lease
        while self._unsent and not lease.lost:
            body = self._report_body()
            try:
                spool.deliver(lease.client, lease.path + "/report", body, deadline_s=FLUSH_DEADLINE_S)
            except Conflict:
                return  # the result's own tell will meet, and show, the same
            except TpeakError as failure:
                # The result must go its own way all the same: it is worth more than its curve.
                warnings.warn(f"reports of trial {self._number} did not arrive: {failure}", stacklevel=4)
                return
            del self._unsent[: len(body["reports"])]

    def _report_body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"lease": self._lease.token, "reports": self._unsent[:REPORTS_PER_REQUEST]}
        if len(self._params) != self._used_sent:
            body["used"] = list(self._params)
        return body

    def _take(self, reply: dict[str, Any], body: dict[str, Any]) -> None:
        del self._unsent[: len(body["reports"])]
        self._used_sent = len(body.get("used", ())) or self._used_sent
        self._prune = bool(reply["prune"])
        for step in reply["kept"]:
            warnings.warn(f"step {step} had another value before; that one is kept", stacklevel=4)

    def _note_loss(self) -> None:
        """Warn, once, and see whether it is worth going on: a complete result counts if it is the first."""
        if self._loss_noted:
            return
        self._loss_noted = True
        warnings.warn(
            f"trial {self._number} was taken from this worker, most likely because it was silent for too long; its "
            "reports count no more, a complete result still does if it is the first",
            stacklevel=4,
        )
        try:
            self._prune = self._prune or self._study._trial(self._number).state.is_finished()
        except TpeakError as failure:
            log.debug("trial %d: %s", self._number, failure)  # unknown: then it goes on

    def _tell_body(self, outcome: Outcome) -> dict[str, Any]:
        body = {"lease": self._lease.token, "used": list(self._params), **outcome.wire()}
        if self._new_attrs:
            body["user_attrs"] = self._new_attrs
        return body

    def _freeze(self, outcome: Outcome) -> FrozenTrial:
        """The finished trial as this worker knows it; from now on the trial is over."""
        self._result = FrozenTrial(
            number=self._number,
            state=outcome.state,
            values=outcome.values,
            params=self.params,
            distributions=self.distributions,
            user_attrs=self.user_attrs,
            intermediate_values=dict(self._reported),
            datetime_start=self._started,
            datetime_complete=datetime.now(UTC),
            cause=outcome.cause,
            origin=self._origin,
            attempt=self._attempt,
        )
        return self._result


def _external(value: Any, asked: Distribution, given: Distribution) -> Any:
    """The value in the type that was asked for, even if it is outside of the range asked for."""
    try:
        return asked.external(value)
    except Invalid:
        if given.kind != asked.kind:
            raise InvalidDistribution(
                f"the parameter is {given.kind} in this trial and cannot be {asked.kind}"
            ) from None
        return given.external(value)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"value must be a number, got a {type(value).__name__}") from None


def _as_step(step: Any) -> int:
    try:
        number = int(step)
    except (TypeError, ValueError):
        raise TypeError(f"step must be an integer, got a {type(step).__name__}") from None
    if not 0 <= number <= MAX_EXACT_INT:
        raise InvalidValue(f"step must lie within 0 .. 2^53, got {number}")
    return number
