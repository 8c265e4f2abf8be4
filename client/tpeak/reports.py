"""What an objective reports of a running trial, and what the server says to it."""

from __future__ import annotations

import logging
import math
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tpeak.errors import (
    Conflict,
    InvalidValue,
    NotFound,
    StudyNotFound,
    TpeakError,
    Unauthorized,
    Unavailable,
    UnexpectedReply,
)
from tpeak.heartbeat import Lease
from tpeak.parcel import Parcel, restored
from tpeak.states import TrialState
from tpeak.wire import MAX_EXACT_INT, number_out

if TYPE_CHECKING:
    from tpeak.routes import StudyRoutes
    from tpeak.spool import Spool

PER_REQUEST = 1000
"""What one request may carry."""

log = logging.getLogger("tpeak")


class Reports:
    """The reports of one trial, sent under its lease; `used` tells the names of its parameters.

    `rows` are all of them by step, as the wire has them; `earlier` are those of a former worker that count. Threads may
    share it: an objective may report from several.
    """

    def __init__(
        self,
        number: int,
        lease: Lease,
        routes: StudyRoutes,
        *,
        clock: Callable[[], float],
        used: Callable[[], list[str]],
        earlier: list[dict[str, Any]],
    ) -> None:
        self.rows = {row["step"]: row for row in earlier}
        self.prune = False
        self._number = number
        self._lease = lease
        self._routes = routes
        self._clock = clock
        self._used = used
        self._used_sent = 0
        self._unsent: list[dict[str, Any]] = []
        self._loss_noted = False
        self._sending = threading.Lock()

    def add(self, row: dict[str, Any]) -> None:
        """Send the report, with those that were held back. Of two for a step the first counts."""
        step = row["step"]
        if step in self.rows:
            warnings.warn(f"step {step} was reported before; its first value is kept", stacklevel=3)
            return
        self.rows[step] = row
        if self._lease.lost:
            self._note_loss()
            return
        self._unsent.append(row)
        # Behind an undelivered one it gets a single attempt: training should not stand still at every step.
        with self._sending:
            self._send(deadline_s=0.0 if len(self._unsent) > 1 else None)

    def hurry(self, seconds: float) -> None:
        """Send what is held back if that is a matter of so many seconds."""
        if self._unsent and self._sending.acquire(timeout=seconds):
            try:
                self._send(deadline_s=0.0, attempt_s=seconds)
            finally:
                self._sending.release()

    def flush(self, spool: Spool) -> bool:
        """Deliver what is held back, before the result. Whether it waits on disk for a server that does not answer.

        Then the result must wait behind it: it would end the lease, under which alone reports are taken. What a server
        refuses that may take it later is on disk, too, and stays held back for another try.
        """
        lease, kept, silent, told = self._lease, 0, False, False
        while kept < len(self._unsent) and not lease.lost:
            body = self._body(kept)
            parcel = Parcel(url=lease.client.url, path=lease.path + "/report", body=body, incarnation=lease.incarnation)
            try:
                if silent:
                    spool.put_off(parcel)
                elif spool.deliver(lease.client, parcel) is None:
                    silent = True
                else:
                    del self._unsent[kept : kept + len(body["reports"])]
                    continue
            except StudyNotFound:
                pass  # the result's own tell shows why
            except (Conflict, NotFound):
                return silent  # the result's own tell will meet, and show, the same
            except TpeakError as failure:
                # The result must go its own way all the same: it is worth more than its curve.
                if not told:
                    warnings.warn(f"reports of trial {self._number} did not arrive: {failure}", stacklevel=5)
                    told = True
                if isinstance(failure, Unavailable):
                    return silent  # the disk takes nothing either
            kept += len(body["reports"])
        return silent

    def _send(self, *, deadline_s: float | None, attempt_s: float | None = None) -> None:
        """Send what is held back, and take over the decision. It stays held back where the server is out of reach."""
        lease = self._lease
        while self._unsent and not lease.lost:
            body, sent_at = self._body(), self._clock()
            try:
                reply = lease.client.post(lease.path + "/report", body, deadline_s=deadline_s, attempt_s=attempt_s)
            except (Unavailable, UnexpectedReply, Unauthorized) as failure:
                # A report is not worth the hours that went into the trial: the objective goes on.
                if len(self._unsent) == 1:
                    until = "the token is taken" if isinstance(failure, Unauthorized) else "it answers"
                    warnings.warn(f"{failure} Reports are held back until {until}.", stacklevel=4)
                return
            except (Conflict, NotFound):
                lease.lost = True
                self._note_loss()
                return
            self._take(reply, body)
            lease.renew(reply, sent_at)

    def _body(self, start: int = 0) -> dict[str, Any]:
        body: dict[str, Any] = {"lease": self._lease.token, "reports": self._unsent[start : start + PER_REQUEST]}
        used = self._used()
        if len(used) != self._used_sent:
            body["used"] = used
        return body

    def _take(self, reply: dict[str, Any], body: dict[str, Any]) -> None:
        del self._unsent[: len(body["reports"])]
        self._used_sent = len(body.get("used", ())) or self._used_sent
        self.prune = bool(reply["prune"])
        for step in reply["kept"]:
            warnings.warn(f"step {step} had another value before; that one is kept", stacklevel=5)

    def _note_loss(self) -> None:
        """Warn, once, and see whether it is worth going on: a complete result counts if it is the first."""
        if self._loss_noted:
            return
        self._loss_noted = True
        try:
            if restored(self._lease.client, self._lease.incarnation):
                warnings.warn(
                    f"the server's database was restored from a backup that does not know trial {self._number} in this "
                    "worker's hands; its result will be added as a new trial, reports and all",
                    stacklevel=5,
                )
                return
        except TpeakError as failure:
            log.debug("trial %d: %s", self._number, failure)
        warnings.warn(
            f"trial {self._number} was taken from this worker, most likely because it was silent for too long; its "
            "reports count no more, a complete result still does if it is the first",
            stacklevel=5,
        )
        try:
            self.prune = self.prune or TrialState(self._routes.trial(self._number)["state"]).is_finished()
        except TpeakError as failure:
            log.debug("trial %d: %s", self._number, failure)  # unknown: then it goes on


def report_row(value: Any, step: Any, cost: Any, *, objectives: int) -> dict[str, Any]:
    """A report as the wire has it. Raises TypeError and InvalidValue for what the server would refuse."""
    values = [_as_float(value)] if objectives == 1 else _as_floats(value, objectives)
    row: dict[str, Any] = {"step": as_step(step), "values": [number_out(number) for number in values]}
    return row if cost is None else row | {"cost": _as_cost(cost)}


def as_step(step: Any) -> int:
    """The step as an integer. Raises TypeError, and InvalidValue for one below 0 or beyond 2^53."""
    try:
        number = int(step)
    except (TypeError, ValueError):
        raise TypeError(f"step must be an integer, got a {type(step).__name__}") from None
    if not 0 <= number <= MAX_EXACT_INT:
        raise InvalidValue(f"step must lie within 0 .. 2^53, got {number}")
    return number


def _as_floats(value: Any, objectives: int) -> list[float]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        what = type(value).__name__
        raise TypeError(
            f"the study has {objectives} objectives: report a sequence of {objectives} numbers, got a {what}"
        )
    numbers = [_as_float(each) for each in value]
    if len(numbers) != objectives:
        raise InvalidValue(f"the study has {objectives} objectives: report {objectives} numbers, got {len(numbers)}")
    return numbers


def _as_float(value: Any, name: str = "value") -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got a {type(value).__name__}") from None


def _as_cost(cost: Any) -> float:
    number = _as_float(cost, "cost")
    if not 0.0 <= number < math.inf:
        raise InvalidValue(f"cost must be finite and at least 0, got {number}")
    return number
