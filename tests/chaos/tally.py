"""What happened in a run, in figures, and what must have happened for it to prove anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.chaos.facts import Facts, Row, StudyFacts, canonical
from tests.chaos.history import Operation
from tests.chaos.invariants import leases
from tests.chaos.schedule import CALM, CUT_AFTER, FAST, FELT, HEAVY, IMMEDIATE, SERVER_KILL

EXPECTED: Mapping[str, int] = {
    "requests": 100_000, "ask replays": 100, "tell replays": 100, "report replays": 300,
    "late complete on a waiting trial": 5, "late complete on a running trial": 10, "late complete on a lost trial": 1,
    "lease_lost": 20, "already_finished": 30, "trials lost": 5, "commits of unknown outcome": 5,
    "keys reused": 20, "amnesties": 1, "zombies": 200, "worker SIGKILL": 100,
}  # fmt: skip
"""What must have happened in a full run."""

AROUND_S = 5.0
"""How long after a fault a request may still feel it."""

SETTLED_S = 10.0
"""How long it takes until the storm's queues are empty."""

AVAILABILITY = 0.999
ASK_P99_S = 0.5
AFTER_KILL_S = 1.0
AFTER_RESTART_S = 10.0

LAG_MS = 100
"""Where the machine wakes a process later than that, it has too much else to do for times to say anything about the
service: they are told, and not judged."""


def counters(facts: Facts) -> dict[str, int]:
    """How often what happened."""
    found: Counter[str] = Counter({"requests": len(facts.operations), **facts.seen})
    seen: set[tuple[str, str]] = set()
    for operation in facts.operations:
        found[f"answered {operation.status or 'not'}"] += 1
        key = (operation.path, canonical(operation.body))
        if key in seen and operation.method != "GET":
            found[f"{operation.kind} replays"] += 1
        seen.add(key)
        code = operation.reply.get("code") if isinstance(operation.reply, dict) else None
        if code in {"lease_lost", "already_finished"}:
            found[code] += 1
        found["keys reused"] += code == "request_id_reused"
    for study in facts.studies.values():
        found.update(_late(study))
        found.update(f"event {event['kind']}" for event in study.rows["events"])
    # What happens to connections is counted by the proxies, when it happens.
    found.update(fault["kind"] for fault in facts.faults if fault["kind"] in HEAVY | {"worker SIGKILL"})
    found["amnesties"] = leases.outages(facts)
    found["commits of unknown outcome"] = facts.seen.get(CUT_AFTER, 0)
    return dict(found)


def _late(study: StudyFacts) -> Iterator[str]:
    """Results that were accepted from ended leases, by the state that the trial was in; and trials that were lost."""
    for number in study.trials:
        state, epoch = "new", 0
        for event in study.events[number]:
            payload = event["payload"]
            ended = state in {"waiting", "lost"} or payload.get("epoch") != epoch
            if event["kind"] == "told" and payload["state"] == "complete" and ended:
                yield f"late complete on a {state} trial"
            if event["kind"] == "issued":
                state, epoch = "running", payload["epoch"]
            state = payload.get("state", "waiting" if event["kind"] == "released" else state)
            if event["kind"] == "expired" and state == "lost":
                yield "trials lost"


def missing(found: Mapping[str, int], expected: Mapping[str, int]) -> list[str]:
    """What did not happen often enough."""
    return [f"{name}: {found.get(name, 0)}, expected {least}" for name, least in expected.items()
            if found.get(name, 0) < least]  # fmt: skip


WRITES = {"ask", "suggest", "report", "tell", "heartbeat", "release"}


class Health:
    """How the service did outside of faults, and how soon it was back after them."""

    def __init__(self, facts: Facts) -> None:
        self.busy = facts.seen.get("p99 lag of the machine, ms", 0) > LAG_MS
        self._calm_from = max((fault["start"] for fault in facts.faults if fault["kind"] == CALM), default=0.0)
        self._felt = [fault for fault in facts.faults if fault["kind"] in FELT]
        self._heavy = [fault for fault in facts.faults if fault["kind"] in HEAVY]
        self._answered = [one for one in facts.operations if one.ok and one.end is not None]
        calm = [one for one in facts.operations if self._calm(one) and one.id not in facts.interfered]
        # Whoever was killed could not note the answer.
        self.calm = [one for one in calm if one.end is not None]
        self.recoveries = {
            SERVER_KILL: self._recoveries({SERVER_KILL}), "PostgreSQL": self._recoveries({IMMEDIATE, FAST}),
        }  # fmt: skip

    @property
    def availability(self) -> float:
        """The share of requests outside of faults that were answered."""
        answered = sum(one.status is not None and one.status < 500 for one in self.calm)
        return answered / max(1, len(self.calm))

    @property
    def ask_p99_s(self) -> float:
        """The 99th percentile of an ask's time while nothing is broken and the load is light.

        In the storm all that the machine can do is asked for: there a queue is as long as the workers are patient.
        """
        begun = self._calm_from + SETTLED_S if self._calm_from else 0.0
        times = sorted(
            (one.end or 0.0) - one.at for one in self.calm if one.kind == "ask" and one.ok and one.at > begun
        )
        return times[int(0.99 * len(times))] if times else 0.0

    def troubles(self) -> list[str]:
        """The bars that were not reached."""
        kills, restarts = self.recoveries[SERVER_KILL], self.recoveries["PostgreSQL"]
        found: list[str] = []
        if self.busy:
            return found
        if self.availability < AVAILABILITY:
            found.append(f"availability outside of faults {self.availability:.5f}, expected {AVAILABILITY}")
        if self.ask_p99_s > ASK_P99_S:
            found.append(f"p99 of an ask {self.ask_p99_s:.3f} s while nothing is broken, expected {ASK_P99_S} s")
        if max(kills, default=0.0) > AFTER_KILL_S:
            found.append(f"{max(kills):.2f} s until the other server had answered, expected {AFTER_KILL_S} s")
        if max(restarts, default=0.0) > AFTER_RESTART_S:
            found.append(f"{max(restarts):.2f} s until PostgreSQL was used again, expected {AFTER_RESTART_S} s")
        return found

    def describe(self) -> str:
        """All of it in words."""
        lines = [
            f"outside of faults: {len(self.calm)} requests, availability {self.availability:.5f}, "
            f"p99 of an ask {1000 * self.ask_p99_s:.0f} ms"
        ]
        lines += ["the machine has so much else to do that times are not judged"] * self.busy
        lines += [
            f"recovery after {kind}: {', '.join(f'{one:.2f}' for one in times)} s"
            for kind, times in self.recoveries.items()
        ]
        return "\n".join(lines)

    def _calm(self, operation: Operation) -> bool:
        end = operation.at if operation.end is None else operation.end
        return not any(f["start"] <= end and operation.at <= f["end"] + AROUND_S for f in self._felt)

    def _recoveries(self, kinds: set[str]) -> list[float]:
        """For each fault that no other overlaps at its start: the time until a write sent after it was answered."""
        found = []
        for fault in self._heavy:
            alone = not any(_meet(fault, other) for other in self._heavy if other is not fault)
            if fault["kind"] in kinds and alone:
                later = [one.end for one in self._answered if one.at > fault["start"] and one.kind in WRITES]
                found.append(min(later, default=float("inf")) - fault["start"])  # type: ignore[type-var]
        return found


def _meet(fault: Row, other: Row) -> bool:
    return bool(other["start"] <= fault["start"] <= other["end"])


def summary(found: Mapping[str, int]) -> str:
    """The counters, one a line."""
    return "\n".join(f"  {name:<36}{found[name]:>9}" for name in sorted(found))
