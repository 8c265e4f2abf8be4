"""The trials of one study that this process holds: how it gets them, and how it parts with them."""

from __future__ import annotations

import logging
import math
import uuid
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tpeak import constraints as limits
from tpeak.connection import Connection
from tpeak.distributions import Distribution, specs
from tpeak.errors import Conflict, NoTrialYet, Preempted, StudyFinished, TpeakError, Unavailable
from tpeak.frozen import FrozenTrial, from_wire, to_wire
from tpeak.heartbeat import Lease
from tpeak.outcome import Outcome, read_reply
from tpeak.parcel import Parcel
from tpeak.states import TrialState
from tpeak.trial import Trial

if TYPE_CHECKING:
    from tpeak.routes import StudyRoutes
    from tpeak.study import Study

log = logging.getLogger("tpeak")

SOON_S = 2.0
"""How long a request may take that a signal waits for."""


class HeldTrials:
    """A study's trials that were asked for here and have not ended, by number."""

    def __init__(self, study: Study, connection: Connection, routes: StudyRoutes) -> None:
        self._study = study
        self._connection = connection
        self._routes = routes
        self._live: dict[int, Trial] = {}

    def get(self, number: int) -> Trial | None:
        """The trial of this number, if it is held here."""
        return self._live.get(number)

    def issue(
        self,
        distributions: dict[str, Distribution] | None = None,
        *,
        wall_time_s: float | None = None,
        resumable: bool = False,
        note: Callable[[Trial], None] = lambda trial: None,
    ) -> Trial:
        """A trial from the server, given to `note` first of all. Raises NoTrialYet, StudyFinished."""
        self._connection.introduce()
        worker = self._connection.worker
        body: dict[str, Any] = {"request_id": uuid.uuid4().hex, "worker": worker.id, "host": worker.host, "count": 1}
        if distributions:
            body["distributions"] = specs(distributions)
        if wall_time_s is not None:
            body["wall_time_s"] = max(0.0, wall_time_s)
        if resumable:
            body["resumable"] = True
        try:
            return self._issued(body, note)
        except Preempted:
            # The server may have handed out a trial that nobody here knows of: the same request shows it.
            try:
                self._issued(body, note, SOON_S)
            except TpeakError as failure:
                log.debug("an interrupted ask: %s", failure)
            raise

    def _issued(self, body: dict[str, Any], note: Callable[[Trial], None], seconds: float | None = None) -> Trial:
        connection = self._connection
        sent_at = connection.heartbeat.clock()
        reply = connection.client.post(self._routes.path + "/ask", body, deadline_s=seconds, attempt_s=seconds)
        if not reply["trials"]:
            raise _no_trial(self._study.study_name, reply, body)
        issued = reply["trials"][0]
        lease = Lease(
            connection.client,
            f"{self._routes.path}/trials/{issued['number']}",
            issued["lease"],
            issued["lease_seconds"],
            sent_at,
            connection.incarnation(),
        )
        trial = self._live[issued["number"]] = Trial(self._study, issued, lease)
        note(trial)
        connection.heartbeat.add(lease)
        return trial

    def finish(self, trial: Trial, outcome: Outcome, *, anew: bool = True) -> FrozenTrial:
        """The trial as ended by this outcome, which may be waiting again. Raises Conflict where the server refuses it.

        With `anew`, a result whose lease is unknown because the database was restored is added as a new trial.
        """
        client, spool = self._connection.client, self._connection.spool
        trial._ending = parcel = self._parcel(trial, outcome, anew=anew)
        reply = None
        try:
            if trial._reports.flush(spool):
                spool.put_off(parcel, kept=trial._kept)
            else:
                reply = spool.deliver(client, parcel, kept=trial._kept)
        except Conflict:
            self.abandon(trial)
            raise
        trial._result = result = self._result(trial, outcome, reply)
        self.abandon(trial)
        if reply is not None:
            spool.resend(client)
        return result

    def tell_number(self, number: int, outcome: Outcome, constraints: Mapping[str, float]) -> FrozenTrial:
        """The same for a trial that was asked for elsewhere, without its lease."""
        client = self._connection.client
        body = outcome.wire() | limits.to_wire(constraints)
        parcel = Parcel(url=client.url, path=f"{self._routes.path}/trials/{number}/tell", body=body)
        if self._connection.spool.deliver(client, parcel) is None:
            told = FrozenTrial(number=number, state=outcome.state, values=outcome.values, cause=outcome.cause)
            told.constraints.update(constraints)
            return told
        return from_wire(self._routes.trial(number))

    def release(self, trial: Trial) -> None:
        """Give the trial back with its checkpoint. Raises LeaseLost; a silent server is warned of."""
        trial._reports.hurry(SOON_S)
        try:
            self._release(trial, None)
        except Unavailable as failure:
            warnings.warn(
                f"trial {trial.number} could not be given back, and waits until its lease expires: {failure}",
                stacklevel=3,
            )
        finally:
            trial._released = True
            self.abandon(trial)

    def hand_back(self, trial: Trial, seconds: float) -> None:
        """The same because of a signal, within about so many seconds; what the server says to it is only logged."""
        if trial._over or trial._preempted:
            return
        trial._preempted = True
        try:
            if trial._ending is None:
                trial._reports.hurry(min(SOON_S, seconds))
                self._release(trial, seconds)
            else:  # the signal came while its result was told
                client, spool = self._connection.client, self._connection.spool
                spool.deliver(client, trial._ending, deadline_s=0.0, attempt_s=seconds, kept=trial._kept)
        except TpeakError as failure:
            log.warning("trial %d was not handed back; its lease will expire: %s", trial.number, failure)
        finally:
            trial._released = True
            self.abandon(trial)

    def _release(self, trial: Trial, seconds: float | None) -> None:
        noted = trial._checkpoint
        body = {"lease": trial._lease.token, "checkpoint": noted.checkpoint, "step": noted.step}
        given = {name: value for name, value in body.items() if value is not None}
        attempt_s = None if seconds is None else seconds / 2
        reply = trial._lease.client.post(trial._lease.path + "/release", given, deadline_s=seconds, attempt_s=attempt_s)
        log.info("trial %d was given back and is %s", trial.number, reply["state"])

    def abandon(self, trial: Trial) -> None:
        """Renew the trial's lease no more."""
        self._connection.heartbeat.drop(trial._lease)
        self._live.pop(trial.number, None)

    def _parcel(self, trial: Trial, outcome: Outcome, *, anew: bool) -> Parcel:
        frozen = trial._frozen(outcome)
        return Parcel(
            url=self._connection.client.url,
            path=trial._lease.path + "/tell",
            body=trial._tell_body(outcome),
            incarnation=trial._lease.incarnation,
            trial=to_wire(frozen) if anew and not outcome.retry else None,
        )

    def _result(self, trial: Trial, outcome: Outcome, reply: dict[str, Any] | None) -> FrozenTrial:
        if reply is None:
            state = TrialState.WAITING if outcome.retry else outcome.state
            return trial._frozen(Outcome(state=state, values=outcome.values, cause=outcome.cause))
        if "numbers" not in reply:
            return trial._frozen(read_reply(reply))
        result = trial._frozen(outcome)
        (result.number,) = reply["numbers"]
        warnings.warn(
            f"the server's database was restored from a backup that did not know trial {trial.number} in this worker's "
            f"hands; its result is trial {result.number} now",
            stacklevel=4,
        )
        return result


def _no_trial(name: str, reply: dict[str, Any], asked: dict[str, Any]) -> NoTrialYet | StudyFinished:
    reason = reply.get("reason")
    if reply.get("done"):
        why = "its budget is used up, or it was stopped"
        if reason == "exhausted":
            why = "every point of its search space has been tried"
        elif reason == "wall_time":
            why = (
                f"its trials take longer than the {asked.get('wall_time_s', math.nan):.0f} s of wall time that this "
                "worker has left"
            )
        elif reason == "stop_when":
            why = reply["cause"]
        return StudyFinished(f"study {name!r} hands out no more trials: {why}", reason=reason)
    wait_s = float(reply["retry_after_s"])
    why = "all are with workers, or it is paused"
    if reason == "paused":
        why = "it is paused"
    elif reason == "host_paused":
        cause = reply.get("cause") or "unknown"
        why = (
            f"host {asked['host']!r} failed fast several times in a row and is paused for {wait_s:.0f} s more; "
            f"the last cause: {cause}"
        )
    return NoTrialYet(f"study {name!r} has no trial to hand out now: {why}", retry_after_s=wait_s, reason=reason)
