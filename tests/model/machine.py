"""Programs of requests, faults and time, which hypothesis makes up, against the model."""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.model.answers import Differs, carry_out, check, in_some_order, plain, said
from tests.model.model import Model
from tests.model.stored import compare_caches, compare_tables
from tests.model.world import World
from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.study import LateResults
from tpeak_server.domain.trial import TrialState
from tpeak_server.service import commands as c
from tpeak_server.service.commands import Command

CLIENTS = 5
X = FloatDistribution(low=0.0, high=1.0)
WIDER = FloatDistribution(low=0.5, high=2.0)
VALUES = (0.5, 0.25, 0.75, 1.0, -0.0, 0.0, math.inf, math.nan)
NAMES = (("y", X), ("y", WIDER), ("x", WIDER), ("z", X))
USED = (None, ("x",), ("x", "y"))
CHANGES = (
    {"lease_seconds": 10.0},
    {"lease_seconds": 25.0},
    {"max_attempts": 1},
    {"max_attempts": 3},
    {"max_trials": 4},
    {"max_trials": None},
    {"note": "changed"},
    {"late_results": LateResults.REFUSE},
    {"late_results": LateResults.ACCEPT},
)
MANAGED = (*CHANGES, *c.Control, *[c.Control.RESUME] * 4)
STATES = (TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.FAILED)
"""What is told; the last one is told with retry."""

clients = st.integers(0, CLIENTS - 1)
replicas = st.integers(0, 1)
picks = st.integers(0, 9)
"""Which lease, counted from the latest: of those that live, in six cases of ten, else of all."""

values = st.sampled_from(VALUES)
steps = st.integers(0, 3)
faults = st.sampled_from([""] * 24 + ["before", "after", "after", "after after", "before after", "down", "unknown"])
"""What happens to the transactions: each in turn is cut before or after its COMMIT; `down` and `unknown` cut all."""

KINDS = "ask ask ask report report report tell tell heartbeat release suggest add attrs act manage replay"
kinds = st.sampled_from(KINDS.split())


class StudyMachine(RuleBasedStateMachine):
    """One study, five clients, two servers.

    No rule has a precondition: which of two servers is first is chance, and a program must be the same each time.
    """

    world: ClassVar[World]
    counts: ClassVar[Counter[str]] = Counter()
    failure: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []
        self.held: list[tuple[int, str]] = []
        self.keys = 0

    @initialize(
        lease=st.sampled_from([10, 25]),
        attempts=st.integers(1, 3),
        budget=st.sampled_from([None, 2, 6]),
        timeout=st.sampled_from([None, None, 60]),
        peer=st.booleans(),
    )
    def begin(self, lease: int, attempts: int, budget: int | None, timeout: int | None, peer: bool) -> None:
        settings = {"lease_seconds": float(lease), "max_attempts": attempts, "max_trials": budget, "timeout_s": timeout}
        pruner = {"name": "median", "n_startup_trials": 1, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1}
        fixed = {"sampler": {"name": "random"}, "pruner": pruner, "seed": 7}
        self.world.tick(0)
        now = self.world.now()
        self.study = self.world.study({**settings, **fixed})
        self.model = Model(
            now=now, tick=now, lease_seconds=lease, max_attempts=attempts, max_trials=budget, timeout_s=timeout
        )
        if peer:
            # Whoever reports more than this has to prune.
            self._send(self._command("add", 0, 0, 0.25, 2), 0, "")

    @rule(client=clients, count=st.integers(1, 3), replica=replicas, fault=faults)
    def ask(self, client: int, count: int, replica: int, fault: str) -> None:
        self._send(self._command("ask", client, count, 0.0, 0), replica, fault)

    @rule(client=clients, step=steps, value=values, state=st.integers(0, 4), replica=replicas)
    def work(self, client: int, step: int, value: float, state: int, replica: int) -> None:
        """A worker's usual day: a trial, a report, a result."""
        self._send(self._command("ask", client, 0, 0.0, 0), replica, "")
        if self.held:
            self._send(self._command("report", 0, 0, value, step), 1 - replica, "")
            self._send(self._command("tell", 0, 0, value, state), replica, "")

    @rule(pick=picks, step=steps, value=values, replica=replicas, fault=faults)
    def report(self, pick: int, step: int, value: float, replica: int, fault: str) -> None:
        self._send(self._command("report", 0, pick, value, step), replica, fault)

    @rule(pick=picks, state=st.integers(0, 4), value=values, replica=replicas, fault=faults)
    def tell(self, pick: int, state: int, value: float, replica: int, fault: str) -> None:
        self._send(self._command("tell", 0, pick, value, state), replica, fault)

    @rule(pick=picks, replica=replicas, fault=faults)
    def late(self, pick: int, replica: int, fault: str) -> None:
        """The result of a worker that was given up, while its trial has none."""
        unfinished = [trial for trial in self.model.trials if trial.state in {"waiting", "running", "lost"}]
        given_up = [x for trial in unfinished for x in trial.leases if x.ended and x.token and not x.told]
        if given_up:
            lease = given_up[-1 - pick % len(given_up)]
            told = c.Tell(number=lease.number, lease=lease.token, state=TrialState.COMPLETE, values=(0.5,))
            self._send(told, replica, fault)

    @rule(pick=picks, replica=replicas, fault=faults)
    def heartbeat(self, pick: int, replica: int, fault: str) -> None:
        self._send(self._command("heartbeat", 0, pick, 0.0, 0), replica, fault)

    @rule(pick=picks, checkpoint=st.integers(0, 2), replica=replicas, fault=faults)
    def release(self, pick: int, checkpoint: int, replica: int, fault: str) -> None:
        self._send(self._command("release", 0, pick, 0.0, checkpoint), replica, fault)

    @rule(pick=picks, name=st.integers(0, 3), replica=replicas, fault=faults)
    def suggest(self, pick: int, name: int, replica: int, fault: str) -> None:
        self._send(self._command("suggest", 0, pick, 0.0, name), replica, fault)

    @rule(what=st.integers(0, 3), value=values, replica=replicas, fault=faults)
    def add(self, what: int, value: float, replica: int, fault: str) -> None:
        self._send(self._command("add", 0, 0, value, what), replica, fault)

    @rule(pick=picks, key=st.integers(0, 1), value=st.integers(0, 3), replica=replicas, fault=faults)
    def attrs(self, pick: int, key: int, value: int, replica: int, fault: str) -> None:
        self._send(self._command("attrs", 0, pick, value, key), replica, fault)

    @rule(what=st.integers(0, len(MANAGED) - 1), replica=replicas, fault=faults)
    def manage(self, what: int, replica: int, fault: str) -> None:
        """Somebody changes the study's settings, pauses it, or goes on."""
        self._send(self._command("manage", 0, what, 0.0, 0), replica, fault)

    @rule(pick=picks, action=st.integers(0, 4), replica=replicas, fault=faults)
    def act(self, pick: int, action: int, replica: int, fault: str) -> None:
        """Somebody cancels, fails, retries, exempts or deletes a trial."""
        self._send(self._command("act", 0, pick, 0.0, action), replica, fault)

    @rule(step=steps, value=values, replica=replicas)
    def spare(self, step: int, value: float, replica: int) -> None:
        """Somebody exempts a trial between two of its reports."""
        self._send(self._command("report", 0, 0, value, step), replica, "")
        self._send(self._command("act", 0, 0, 0.0, [*c.Action].index(c.Action.EXEMPT)), 1 - replica, "")
        self._send(self._command("report", 0, 0, value, step + 1), replica, "")

    @rule(rarely=st.integers(0, 19), replica=replicas)
    def archive(self, rarely: int, replica: int) -> None:
        if rarely == 7:
            self._send(c.Archive(), replica, "")

    @rule(back=st.integers(0, 20), replica=replicas, fault=faults)
    def replay(self, back: int, replica: int, fault: str) -> None:
        """Any earlier request once more."""
        self.counts["replays"] += 1
        self._send(self._command("replay", 0, back, 0.0, 0), replica, fault)

    @rule(back=st.integers(0, 20), value=st.integers(0, 3), replica=replicas)
    def reuse(self, back: int, value: int, replica: int) -> None:
        """The key of an earlier request with another payload."""
        earlier = self._command("replay", 0, back, 0.0, 0)
        self._send(earlier and _another(earlier, value), replica, "")

    @rule(
        specs=st.lists(st.tuples(kinds, clients, picks, values, st.integers(0, 4), replicas), min_size=2, max_size=4),
        ticking=st.sampled_from([None, None, 0, 1]),
        fault=st.sampled_from([""] * 10 + ["before", "after"]),
    )
    def together(self, specs: list[tuple[Any, ...]], ticking: int | None, fault: str) -> None:
        """Several requests at once."""
        commands = [(command, spec[-1]) for spec in specs if (command := self._command(*spec[:-1])) is not None]
        overdue: list[Command] = [] if ticking is None else list(self.model.overdue())
        if len(overdue) > 2:
            # More orders than there is time to look at.
            self._expire(ticking or 0, overdue)
            overdue = []
        for replica in self.world.faults:
            replica.plan = fault.split()
        answers = self.world.send_all(self.study, commands, ticking)
        self._no_faults()
        self.sent += [command for command, _ in commands]
        heard: list[tuple[Command, Any]] = [(c, said(a)) for (c, _), a in zip(commands, answers, strict=True)]
        for command, answer in heard:
            self._count(command, answer)
        ((seq,),) = self.world.rows("SELECT seq FROM study_clocks WHERE study_id = %s", self.study)
        every = [*heard, *((command, None) for command in overdue)]
        self.model = in_some_order(self.model, every, seq, repeated=bool(fault))
        if fault:
            self.model.told_twice |= {command.number for command, _ in commands if isinstance(command, c.Tell)}
        self.counts["together"] += 1
        self._after()

    @rule(looks=st.sampled_from([1, 4, 4]), replica=replicas)
    def live(self, looks: int, replica: int) -> None:
        """Time passes while a reaper looks, too often for an amnesty; after four looks a silent worker has lost."""
        for _ in range(looks):
            self._move(3 if self.model.lease_seconds == 10 else 8)
            self._tick(replica)

    @rule(seconds=st.sampled_from([2, 5, 11, 30]), replica=st.sampled_from([None, 0, 1]))
    def outage(self, seconds: int, replica: int | None) -> None:
        """Time passes and nobody looks, until perhaps at its end."""
        self._move(seconds)
        if replica is not None:
            self._tick(replica)

    @rule(replica=replicas)
    def evict(self, replica: int) -> None:
        self.world.evict(self.study, replica)

    @rule(pick=picks, replica=replicas)
    def read(self, pick: int, replica: int) -> None:
        if not self.model.trials:
            return
        self._read(len(self.model.trials) - 1 - pick % len(self.model.trials), replica)
        finite = [(t.values[0], t.number) for t in self.model.trials if _finite(t) and not t.deleted]
        best = min(finite)[1] if finite else None
        if (found := self.world.best(self.study, replica)) != best:
            raise Differs(f"the best trial is {best}, not {found}")

    def teardown(self) -> None:
        if not hasattr(self, "study"):
            return
        try:
            if sys.exc_info()[0] is None:
                compare_tables(self.world, self.study, self.model)
                compare_caches(self.world, self.study)
                self._count_program()
        finally:
            if isinstance(failure := sys.exc_info()[1], Exception):
                # What chance had a part in may not happen again, and then hypothesis only says that it was flaky.
                StudyMachine.failure = f"{type(failure).__name__}: {failure}"
            self._no_faults()
            self.world.forget(self.study)

    def _send(self, command: Command | None, replica: int, fault: str) -> None:
        """One request, and its answer as the model has it."""
        if command is None:
            return
        self.sent.append(command)
        faults = self.world.faults[replica]
        faults.forever = {"down": "before", "unknown": "after"}.get(fault, "")
        faults.plan = [] if faults.forever else fault.split()
        heard = said(self.world.send(self.study, command, replica))
        self._no_faults()
        self._count(command, heard)
        if faults_forever := {"down", "unknown"} & {fault}:
            if heard != "database_unavailable":
                raise Differs(f"{command}, while the database is {faults_forever}, was answered {plain(heard)}")
            if fault == "unknown":
                carry_out(self.model, command, self._unheard(command))
        else:
            check(self.model, command, heard)
            if isinstance(command, c.Tell) and isinstance(heard, dict):
                self._read(command.number, 1 - replica)
        self._after()

    def _unheard(self, command: Command) -> Any:
        """The decision that was made though its answer was lost: it cannot be known otherwise."""
        if not isinstance(command, c.ReportSteps):
            return None
        statement = (
            "SELECT prune FROM reports JOIN leases USING (study_id, number, epoch) WHERE study_id = %s AND token = %s"
        )
        return {"prune": any(row[0] for row in self.world.rows(statement, self.study, command.lease))}

    def _after(self) -> None:
        """What each answer leaves behind: leases that the clients hold, and nothing in the log."""
        known = {token for _, token in self.held}
        self.held += [(x.number, x.token) for x in self.model.leases() if x.token and x.token not in known]
        if self.world.errors.seen:
            raise Differs("logged as an error: " + "\n".join(self.world.errors.seen))

    def _no_faults(self) -> None:
        for replica in self.world.faults:
            replica.plan, replica.forever = [], ""

    def _move(self, seconds: int) -> None:
        self.world.move(seconds)
        self.model.now += seconds

    def _tick(self, replica: int) -> None:
        if self.model.now - self.model.tick > self.model.lease_seconds / 3 and any(t.live() for t in self.model.trials):
            self.counts["amnesties"] += 1
        self._expire(replica, list(self.model.overdue()))

    def _expire(self, replica: int, overdue: list[Command]) -> None:
        self.world.tick(replica)
        for command in overdue:
            carry_out(self.model, command, {})

    def _read(self, number: int, replica: int) -> None:
        trial, read = self.model.trials[number], self.world.read(self.study, number, replica)
        if trial.deleted or read is None:
            if not (trial.deleted and read is None):
                raise Differs(f"trial {number} is {'shown' if read else 'not shown'}, and deleted is {trial.deleted}")
            return
        record, interned = read
        found = {
            "state": str(record.trial.state),
            "values": record.trial.values,
            "attempt": record.trial.attempt,
            "epoch": record.trial.epoch,
            "attrs": dict(record.trial.user_attrs),
            "curve": dict(record.curve),
            "params": {
                name: interned[i].distribution.to_external(v) for name, (i, v) in record.params(interned).items()
            },
        }
        wanted = trial.shown()
        # What nobody has heard of cannot be foreseen.
        drawn: dict[str, Any] = found["params"]
        if wanted["params"] is None:
            wanted["params"] = drawn
        else:
            heard = wanted["params"].items()
            wanted["params"] = {name: drawn.get(name) if value is None else value for name, value in heard}
        if plain(wanted) != plain(found):
            raise Differs(f"trial {number} must be read as {plain(wanted)}\n  and was as {plain(found)}")

    def _count_program(self) -> None:
        self.counts["programs"] += 1
        for trial in self.model.trials:
            self.counts["expiries"] += sum(event[0] == "expired" for event in trial.life)
            self.counts["lost"] += any(event[3:] and event[2] == "lost" for event in trial.life)
            self.counts["returned"] += sum(event[0] == "returned" for event in trial.life)
            late = trial.told is not None and trial.told[0] and trial.leases[trial.told[0] - 1].ended != "told"
            self.counts["late complete"] += bool(late) and trial.state == "complete"
        self.counts["pruned"] += sum(lease.prune for lease in self.model.leases())
        spared = (lease for trial in self.model.trials if trial.exempt for lease in trial.leases if lease.prune)
        self.counts["spared"] += sum(1 for lease in spared if not [*lease.reports.values()][-1][1])

    def _count(self, command: Command, heard: Any) -> None:
        self.counts["requests"] += 1
        heard = "unavailable" if heard == "database_unavailable" else heard
        if isinstance(heard, str):
            self.counts[heard] += 1

    def _key(self) -> str:
        self.keys += 1
        return f"key {self.keys}"

    def _command(self, kind: str, client: int, pick: int, value: float, more: int) -> Command | None:
        """A request of this kind, about the lease picked; None where no lease was ever given out."""
        if kind == "ask":
            return c.Ask(request_id=self._key(), worker=f"client {client}", count=1 + pick % 3, distributions={"x": X})
        if kind == "add":
            return c.Add(request_id=self._key(), trials=_trials(more % 4, value))
        if kind == "manage":
            what = MANAGED[(pick + 7 * client) % len(MANAGED)]
            if isinstance(what, c.Control):
                return c.ControlStudy(request_id=self._key(), control=what)
            return c.ChangeStudy(request_id=self._key(), settings=what)
        if kind == "replay":
            return self.sent[-1 - pick % len(self.sent)] if self.sent else None
        if not self.held:
            return None
        live = {lease.token for trial in self.model.trials if (lease := trial.live())} if pick < 6 else set()
        held = [lease for lease in self.held if lease[1] in live] or self.held
        number, lease = held[-1 - pick % len(held)]
        if kind == "attrs":
            return c.SetAttrs(request_id=self._key(), number=number, user_attrs={"ab"[more % 2]: str(value)})
        if kind == "act":
            action = [*c.Action, None][more % 5]
            if action is None:
                return c.Delete(number=number)
            return c.ChangeTrial(request_id=self._key(), number=number, action=action)
        if kind == "report":
            made = (c.Step(step=more, values=(value,)),) + (
                (c.Step(step=more + 1, values=(value,)),) if more > 3 else ()
            )
            return c.ReportSteps(number=number, lease=lease, steps=made, used=USED[more % 3])
        if kind == "heartbeat":
            return c.Heartbeat(number=number, lease=lease)
        if kind == "release":
            return c.Release(
                number=number, lease=lease, checkpoint=(None, "here", "here")[more % 3], step=(None, None, 2)[more % 3]
            )
        if kind == "suggest":
            name, distribution = NAMES[more % 4]
            return c.Suggest(number=number, lease=lease, name=name, distribution=distribution)
        return _tell(number, lease, more, value)


def _tell(number: int, lease: str | None, what: int, value: float) -> c.Tell:
    # One of the values stands for somebody without a lease, one for a result with attributes.
    state = STATES[what]
    values = (value,) if state is TrialState.COMPLETE else None
    attrs = {"told": "yes"} if value == 1.0 else {}
    bearer = None if value == 0.75 else lease
    return c.Tell(number=number, lease=bearer, state=state, values=values, user_attrs=attrs, retry=what == 4)


def _trials(what: int, value: float) -> tuple[c.Added, ...]:
    value = 0.5 if math.isnan(value) else value
    x = min(1.0, max(0.0, value))
    waiting = c.Added(params={"x": x}, distributions={"x": X})
    bare = c.Added(params={"z": x})
    report = (c.Step(step=0, values=(value,)), c.Step(step=1, values=(x,)))
    done = c.Added(
        state=TrialState.COMPLETE,
        values=(value,),
        params={"x": x},
        distributions={"x": X},
        steps=report,
        user_attrs={"a": 1},
    )
    return [(waiting,), (bare,), (done,), (waiting, done)][what]


def _another(command: Command, value: int) -> Command | None:
    """The command's key with another content."""
    if isinstance(command, c.Ask):
        return c.Ask(request_id=command.request_id, worker=command.worker, count=command.count + 1 + value)
    if isinstance(command, c.ReportSteps):
        steps = tuple(c.Step(step=step.step, values=(float(value),)) for step in command.steps)
        return c.ReportSteps(number=command.number, lease=command.lease, steps=steps)
    if isinstance(command, c.Tell):
        return _tell(command.number, command.lease, value, float(value))
    if isinstance(command, c.Suggest):
        return c.Suggest(number=command.number, lease=command.lease, name=command.name, distribution=WIDER)
    if isinstance(command, c.Keyed):
        return c.ChangeStudy(request_id=command.request_id, settings={"note": f"reused {value}"})
    return None


def _finite(trial: Any) -> bool:
    return trial.state == "complete" and math.isfinite(trial.values[0])
