"""A study in plain Python: what every request must come to, whatever batches, caches, replicas and lost commits do.

It knows no sampler and no pruner. What they said is learned from the first answer, and must stay the same from then on;
None stands for what was never heard, because the answer was lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from tpeak_server.domain.trial import TrialState
from tpeak_server.service import commands as c

FINAL = {"complete", "pruned", "failed"}
CONTROLS = {
    c.Control.PAUSE: ("paused", "paused"),
    c.Control.STOP: ("stopped", "stopped"),
    c.Control.CANCEL: ("stopped", "cancelled"),
    c.Control.RESUME: ("open", "resumed"),
}
"""The state that a study is in after each command, and its event."""


class Refused(Exception):
    """The code of the error that a request must be answered with."""


@dataclass
class Lease:
    """One handing out; `reports` maps a step to (values, prune), `curve` also has what an earlier epoch handed on."""

    number: int
    epoch: int
    key: str
    ordinal: int
    worker: str
    expires: int
    token: str | None = None
    ended: str | None = None
    used: tuple[str, ...] | None = None
    checkpoint: str | None = None
    step: int | None = None
    prune: bool = False
    cancelled: bool = False
    told: str | None = None
    reports: dict[int, tuple[Any, bool]] = field(default_factory=dict)
    curve: dict[int, Any] = field(default_factory=dict)


@dataclass
class Trial:
    """One trial; `params` is all that was proposed or suggested, `life` its events."""

    number: int
    state: str = "waiting"
    attempt: int = 0
    params: dict[str, Any] | None = None
    fixed: dict[str, Any] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    leases: list[Lease] = field(default_factory=list)
    values: tuple[float, ...] | None = None
    told: tuple[int, str] | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    added: dict[int, Any] = field(default_factory=dict)
    resume: Lease | None = None
    deleted: bool = False
    exempt: bool = False
    life: list[tuple[Any, ...]] = field(default_factory=list)

    def live(self) -> Lease | None:
        return next((lease for lease in self.leases if lease.ended is None), None)

    def shown_lease(self) -> Lease | None:
        """The winning lease, else the newest one."""
        if not self.leases or (self.told and not self.told[0]):
            return None
        return self.leases[self.told[0] - 1 if self.told else -1]

    def shown(self) -> dict[str, Any]:
        """What a reader sees; of the parameters those that the worker of that epoch used, all until it said."""
        lease = self.shown_lease()
        params = self.params
        if params is not None and lease is not None and lease.used is not None:
            params = {name: params[name] for name in lease.used if name in params}
        return {
            "state": self.state,
            "values": self.values,
            "attempt": self.attempt,
            "epoch": len(self.leases),
            "attrs": self.attrs,
            "curve": lease.curve if lease else self.added,
            "params": params,
        }


@dataclass
class Model:
    """The study. A verb checks everything before it changes anything, and returns what the answer must say."""

    now: int
    tick: int
    lease_seconds: int
    max_attempts: int
    max_trials: int | None
    timeout_s: int | None
    seq: int = 1
    state: str = "open"
    late_results: str = "accept"
    handed: int = 0
    first_ask: int | None = None
    note: str = ""
    trials: list[Trial] = field(default_factory=list)
    asks: dict[str, tuple[str, list[Lease]]] = field(default_factory=dict)
    requests: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    kept_aside: dict[tuple[int, str], str] = field(default_factory=dict)
    told_twice: set[int] = field(default_factory=set)
    outages: list[tuple[int, int]] = field(default_factory=list)
    life: list[tuple[Any, ...]] = field(default_factory=lambda: [("created",)])

    def leases(self) -> list[Lease]:
        return [lease for trial in self.trials for lease in trial.leases]

    def ask(self, ask: c.Ask, said: Any) -> dict[str, Any]:
        if ask.request_id in self.asks:
            content, leases = self.asks[ask.request_id]
            if content != repr(ask):
                raise Refused("request_id_reused")
            return self._asked(leases, said)
        leases = []
        if self.state == "open":
            self.first_ask = self.now if self.first_ask is None else self.first_ask
            while not self._timed_out() and len(leases) < ask.count and (trial := self._next()) is not None:
                leases.append(self._issue(trial, ask, len(leases)))
        if leases:
            self.asks[ask.request_id] = (repr(ask), leases)
            return self._asked(leases, said)
        self._writable()
        finished = self._timed_out() or not any(trial.live() for trial in self.trials)
        done = self.state == "stopped" or (self.state == "open" and finished)
        return {"trials": [], "done": done, "seq": self.seq}

    def suggest(self, suggest: c.Suggest, said: Any) -> dict[str, Any]:
        self._writable()
        trial = self._trial(suggest.number)
        self._live(suggest)
        name, params = suggest.name, trial.params
        proposed = params.get(name) if name not in trial.late else None
        if name not in trial.late and not (proposed is not None and suggest.distribution.contains(proposed)):
            params[name] = trial.fixed.get(name)
            trial.late.add(name)
            self._event(None)
        params[name] = _learned(params[name], said and said["value"])
        return {"value": params[name], "seq": self.seq}

    def report(self, report: c.ReportSteps, said: Any) -> dict[str, Any]:
        lease = self._lease(report)
        new = {step.step: step.values for step in reversed(report.steps) if step.step not in lease.reports}
        if new:
            self._writable()
            if lease.ended:
                raise Refused("lease_lost")
            lease.used = report.used or lease.used
            for step in sorted(new):
                self._event(None)
                lease.reports[step], lease.curve[step] = (new[step], False), new[step]
            # Asked for once; from then on it stands, and so does the answer to every later step of what is not exempt.
            exempt = self._trial(report.number).exempt
            lease.prune = lease.prune or bool(said and said["prune"] and not exempt)
            lease.reports[step] = (new[step], lease.prune and not exempt)
        self._renew(lease)
        kept = tuple(step.step for step in report.steps if repr(lease.reports[step.step][0]) != repr(step.values))
        steps = {step.step for step in report.steps}
        *_, decided = (prune for step, (_, prune) in lease.reports.items() if step in steps)
        return {
            "prune": decided,
            "kept": kept,
            "cancel": lease.cancelled,
            "lease_seconds": self.lease_seconds,
            "seq": self.seq,
        }

    def tell(self, tell: c.Tell, said: Any) -> dict[str, Any]:
        try:
            return self._tell(tell)
        except Refused as refused:
            if refused.args[0] not in {"invalid_value", "invalid_request", "trial_not_found"}:
                self.kept_aside.setdefault((tell.number, repr(tell)), refused.args[0])
            raise

    def heartbeat(self, beat: c.Heartbeat, said: Any) -> dict[str, Any]:
        lease = self._live(beat)
        self._renew(lease)
        return {"lease_seconds": self.lease_seconds, "cancel": lease.cancelled}

    def release(self, release: c.Release, said: Any) -> dict[str, Any]:
        lease, trial = self._lease(release), self._trial(release.number)
        same = lease.checkpoint == release.checkpoint and release.step in {None, lease.step}
        if not (lease.ended == "released" and same):
            self._live(release)
            self._writable()
            lease.ended, lease.checkpoint, lease.step = "released", release.checkpoint, release.step
            if release.checkpoint is not None:
                lease.step = max(lease.curve, default=None) if release.step is None else release.step
                trial.resume = lease
            trial.state = "failed" if lease.cancelled else "waiting"
            self._event(trial, "released", lease.epoch, lease.step, trial.state)
        return {"state": "failed" if lease.cancelled else "waiting", "seq": self.seq}

    def add(self, add: c.Add, said: Any) -> dict[str, Any]:
        def change() -> dict[str, Any]:
            first = len(self.trials)
            for added in add.trials:
                self._add(added)
            return {"numbers": list(range(first, len(self.trials)))}

        return self._once(add, change)

    def set_attrs(self, attrs: c.SetAttrs, said: Any) -> dict[str, Any]:
        def change() -> dict[str, Any]:
            trial = self._visible(attrs.number)
            trial.attrs |= attrs.user_attrs
            self._event(trial, "attrs")
            return {}

        return self._once(attrs, change)

    def change(self, change_study: c.ChangeStudy, said: Any) -> dict[str, Any]:
        def change() -> dict[str, Any]:
            for name, value in change_study.settings.items():
                setattr(self, name, value)
            self._event(None, "changed")
            return {}

        return self._once(change_study, change)

    def archive(self, archive: c.Archive, said: Any) -> dict[str, Any]:
        if self.state != "archived":
            self.state = "archived"
            self._event(None, "archived")
        return {}

    def control(self, control: c.ControlStudy, said: Any) -> dict[str, Any]:
        def change() -> dict[str, Any]:
            state, event = CONTROLS[control.control]
            running = [lease for trial in self.trials if (lease := trial.live()) and not lease.cancelled]
            to_cancel = running if event == "cancelled" else []
            if self.state != state or to_cancel:
                self.state = state
                self._event(None, event)
            for lease in to_cancel:
                lease.cancelled = True
                self._event(self.trials[lease.number], "cancelled", lease.epoch, "running")
            return {}

        return self._once(control, change)

    def change_trial(self, act: c.ChangeTrial, said: Any) -> dict[str, Any]:
        def change() -> dict[str, Any]:
            trial = self._visible(act.number)
            acts = {"cancel": self._cancel, "fail": self._fail, "retry": self._retry, "exempt": self._exempt}
            acts[act.action](trial)
            return {}

        return self._once(act, change)

    def delete(self, delete: c.Delete, said: Any) -> dict[str, Any]:
        trial = self._trial(delete.number)
        if not trial.deleted:
            self._writable()
            self._take_away(trial)
            trial.deleted = True
            trial.state = "failed" if trial.state in {"waiting", "running"} else trial.state
            self._event(trial, "deleted")
        return {}

    def expire(self, expire: c.Expire, said: Any) -> dict[str, Any]:
        trial = self._trial(expire.number)
        lease = trial.live()
        if lease is not None and lease.epoch == expire.epoch and lease.expires < self.now:
            lease.ended = "expired"
            trial.attempt += 1
            trial.state = "waiting" if trial.attempt < self.max_attempts else "lost"
            trial.state = "failed" if lease.cancelled else trial.state
            self._event(trial, "expired", lease.epoch, trial.state, trial.attempt)
        return {}

    def overdue(self) -> list[c.Expire]:
        """What a reaper that looks now has to expire: what no outage excuses."""
        self.outages.append((self.tick, self.now))
        self.tick = self.now
        live = [lease for trial in self.trials if (lease := trial.live())]
        return [
            c.Expire(number=lease.number, epoch=lease.epoch)
            for lease in live
            if lease.expires < self.now and not self._excused(lease)
        ]

    def _excused(self, lease: Lease) -> bool:
        """Whether an outage ended after its last renewal, and less than a period ago."""
        since = max(lease.expires, self.now) - self.lease_seconds
        return any(ended > since and ended - began > self.lease_seconds / 3 for began, ended in self.outages)

    def _asked(self, leases: list[Lease], said: Any) -> dict[str, Any]:
        heard = said["trials"] if said and len(said["trials"]) == len(leases) else [None] * len(leases)
        for lease, trial in zip(leases, heard, strict=True):
            lease.token = _learned(lease.token, trial and trial["token"])
            own = self.trials[lease.number]
            own.params = _learned(own.params, trial and trial["params"])
            if trial and own.params is not None:
                own.params = {name: _learned(value, trial["params"].get(name)) for name, value in own.params.items()}
        trials = [
            {
                "number": lease.number,
                "epoch": lease.epoch,
                "token": lease.token,
                "params": self.trials[lease.number].params,
            }
            for lease in leases
        ]
        return {"trials": trials, "done": False, "seq": self.seq}

    def _next(self) -> Trial | None:
        """The lowest waiting trial, or a new one; both cost budget when a number is handed out for the first time."""
        left = self.max_trials is None or self.handed < self.max_trials
        for trial in self.trials:
            if trial.state == "waiting" and (trial.leases or left):
                return trial
        return self._new(Trial(number=len(self.trials))) if left else None

    def _issue(self, trial: Trial, ask: c.Ask, ordinal: int) -> Lease:
        self.handed += not trial.leases
        lease = Lease(
            number=trial.number,
            epoch=len(trial.leases) + 1,
            key=ask.request_id,
            ordinal=ordinal,
            worker=ask.worker,
            expires=self.now + self.lease_seconds,
        )
        before = trial.resume
        if before is not None and before.step is not None:
            lease.curve = {step: values for step, values in before.curve.items() if step <= before.step}
        trial.leases.append(lease)
        trial.state = "running"
        self._event(trial, "issued", lease.epoch, ask.worker)
        return lease

    def _new(self, trial: Trial) -> Trial:
        self.trials.append(trial)
        return trial

    def _add(self, added: c.Added) -> None:
        known = {name: value for name, value in added.params.items() if name in added.distributions}
        trial = self._new(Trial(number=len(self.trials), state=str(added.state), params=known))
        trial.fixed = {name: value for name, value in added.params.items() if name not in known}
        trial.attrs, trial.values = dict(added.user_attrs), added.values
        trial.told = None if trial.state == "waiting" else (0, "")
        trial.added = {step.step: step.values for step in added.steps}
        self._event(trial, "added", trial.state)
        for _ in added.steps:
            self._event(None)

    def _tell(self, tell: c.Tell) -> dict[str, Any]:
        trial = self._trial(tell.number) if tell.lease else self._visible(tell.number)
        lease = self._lease(tell) if tell.lease else trial.shown_lease()
        epoch, content = lease.epoch if lease else 0, repr(replace(tell, lease=None))
        if tell.lease and lease.told is not None:
            return self._told_again(trial, lease, content)
        if trial.deleted:
            raise Refused("lease_lost")
        if trial.state not in FINAL:
            self._writable()
            state, values = self._result(tell, lease)
            self._must_count(tell, trial, lease, state, values)
            self._finish(trial, lease, tell, content, (state, values))
        elif tell.lease or trial.told != (epoch, content):
            raise Refused("already_finished")
        return {"state": trial.state, "values": trial.values, "seq": self.seq}

    def _told_again(self, trial: Trial, lease: Lease, content: str) -> dict[str, Any]:
        """The first answer to what a lease has told, whatever became of the trial since."""
        if lease.told != content:
            raise Refused("already_finished" if trial.state in FINAL and not trial.deleted else "lease_lost")
        if trial.told is not None and trial.told[0] == lease.epoch:
            return {"state": trial.state, "values": trial.values, "seq": self.seq}
        return {"state": "waiting" if lease.ended == "returned" else "failed", "values": None, "seq": self.seq}

    def _result(self, tell: c.Tell, lease: Lease | None) -> tuple[str, Any]:
        if tell.retry and (tell.state is not TrialState.FAILED or tell.lease is None):
            raise Refused("invalid_request")
        if tell.state is TrialState.COMPLETE:
            if tell.values is None:
                raise Refused("invalid_value")
            return ("failed", None) if any(map(math.isnan, tell.values)) else ("complete", tell.values)
        if tell.state is TrialState.PRUNED and tell.values is None and lease and lease.curve:
            return "pruned", lease.curve[max(lease.curve)]
        return str(tell.state), tell.values

    def _must_count(self, tell: c.Tell, trial: Trial, lease: Lease | None, state: str, values: Any) -> None:
        if tell.lease is None:
            if trial.state == "waiting":
                raise Refused("not_running")
        elif lease.ended:
            worth = (state == "complete" and all(map(math.isfinite, values))) or (state == "pruned" and lease.prune)
            if self.late_results == "refuse" or not worth:
                raise Refused("lease_lost")

    def _finish(self, trial: Trial, lease: Lease | None, tell: c.Tell, content: str, result: tuple[str, Any]) -> None:
        retry = tell.retry and not lease.cancelled
        goes_on = retry and trial.attempt + 1 < self.max_attempts
        live = trial.live()
        if live is not None:
            live.ended = "superseded" if live is not lease else "returned" if goes_on else "told"
        if lease is not None:
            lease.used, lease.told = tell.used or lease.used, content
        trial.attempt += retry
        trial.state, trial.values = ("waiting", None) if goes_on else result
        trial.told = None if goes_on else (lease.epoch if lease else 0, content)
        trial.attrs |= tell.user_attrs
        event = ("returned", lease.epoch, trial.state, trial.attempt) if retry else ("told", trial.state, trial.told[0])
        self._event(trial, *event)

    def _cancel(self, trial: Trial) -> None:
        lease = trial.live()
        if lease is not None and not lease.cancelled:
            lease.cancelled = True
            self._event(trial, "cancelled", lease.epoch, "running")
        elif trial.state == "waiting":
            trial.state = "failed"
            self._event(trial, "cancelled", None, "failed")
        elif lease is None:
            raise Refused("already_finished")

    def _fail(self, trial: Trial) -> None:
        if trial.state not in {"waiting", "running"}:
            raise Refused("already_finished")
        self._take_away(trial)
        trial.state = "failed"
        self._event(trial, "failed")

    def _retry(self, trial: Trial) -> None:
        if trial.state in {"complete", "pruned"}:
            raise Refused("already_finished")
        if trial.state in {"failed", "lost"}:
            trial.state, trial.attempt, trial.values, trial.told = "waiting", 0, None, None
            self._event(trial, "retried")

    def _exempt(self, trial: Trial) -> None:
        if trial.state not in {"waiting", "running"}:
            raise Refused("already_finished")
        if not trial.exempt:
            trial.exempt = True
            self._event(trial, "exempted")

    def _take_away(self, trial: Trial) -> None:
        if lease := trial.live():
            lease.ended = "superseded"

    def _once(self, command: c.Keyed, change: Any) -> dict[str, Any]:
        """The first answer under the command's key, else that of the change."""
        content = repr(command)
        if command.request_id in self.requests:
            if self.requests[command.request_id][0] != content:
                raise Refused("request_id_reused")
        else:
            self._writable()
            reply = change()
            self.requests[command.request_id] = (content, {**reply, "seq": self.seq})
        return self.requests[command.request_id][1]

    def _trial(self, number: int) -> Trial:
        if not 0 <= number < len(self.trials):
            raise Refused("trial_not_found")
        return self.trials[number]

    def _visible(self, number: int) -> Trial:
        if self._trial(number).deleted:
            raise Refused("trial_not_found")
        return self.trials[number]

    def _lease(self, command: c.OfTrial) -> Lease:
        for lease in self._trial(command.number).leases:
            if lease.token == command.lease:
                return lease
        raise Refused("lease_lost")

    def _live(self, command: c.OfTrial) -> Lease:
        lease = self._lease(command)
        if lease.ended:
            raise Refused("lease_lost")
        return lease

    def _renew(self, lease: Lease) -> None:
        if lease.ended is None:
            lease.expires = max(lease.expires, self.now + self.lease_seconds)

    def _writable(self) -> None:
        if self.state == "archived":
            raise Refused("study_archived")

    def _timed_out(self) -> bool:
        return self.timeout_s is not None and self.first_ask is not None and self.now - self.first_ask >= self.timeout_s

    def _event(self, trial: Trial | None, *event: Any) -> None:
        self.seq += 1
        if event:
            (self.life if trial is None else trial.life).append(event)


def _learned(known: Any, heard: Any) -> Any:
    return heard if known is None else known
