"""The checker on a small history made by hand: it is content with that, and each invariant sees what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.check import INVARIANTS, describe, violations
from tests.chaos.facts import Facts, StudyFacts
from tests.chaos.history import Operation

START = datetime(2026, 1, 1, tzinfo=UTC)
T0 = START.timestamp()
STUDY = "0000000000001"
LEASE_S = 4.0
SPEC = '{"type": "float", "low": 0.0, "high": 1.0}'


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def operation(id: str, at: float, path: str, body: Any, reply: Any, status: int = 200, **more: Any) -> Operation:
    """An answered request; the answer came a hundredth of a second later."""
    return Operation(
        id=id, worker="w", method="POST" if body is not None else "GET", path=f"/studies/{STUDY}/{path}", body=body,
        at=T0 + at, end=T0 + at + 0.01, status=status, reply=reply, outcome="ok" if status < 300 else "fail", **more,
    )  # fmt: skip


def lease(number: int, epoch: int, request_id: str, *, live: bool, ended: str | None, expires: float) -> dict[str, Any]:
    return {
        "number": number, "epoch": epoch, "token": f"L{number}.{epoch}", "worker": "w", "request_id": request_id,
        "ordinal": 0, "live": live, "ended": ended, "expires_at": after(expires),
    }  # fmt: skip


def trial(number: int, state: str, epoch: int, attempt: int, told: int | None, values: list[float] | None) -> Any:
    return {
        "number": number, "state": state, "epoch": epoch, "attempt": attempt, "told_epoch": told, "values": values,
        "proposed_ids": [0], "proposed": [0.25],
    }  # fmt: skip


def audit(at: float, number: int, epoch: int, expires: float, former: float | None, **more: Any) -> dict[str, Any]:
    return {
        "at": after(at), "number": number, "epoch": epoch, "expires_at": after(expires), "period": LEASE_S,
        "former_expires_at": None if former is None else after(former), "live": True, "ended": None,
        "was_live": None if former is None else True, **more,
    }  # fmt: skip


def asked(number: int, epoch: int) -> dict[str, Any]:
    return {"trials": [{"number": number, "epoch": epoch, "lease": f"L{number}.{epoch}", "params": {"x": 0.25}}]}


def ask(request_id: str) -> dict[str, Any]:
    return {"request_id": request_id, "worker": "w", "count": 1}


def clean() -> Facts:
    """Trial 0 is reported and told; trial 1 expires, is handed out again and told, and its first worker is refused."""
    operations = [
        operation("a", 0.0, "ask", ask("k0"), asked(0, 1), call="c0"),
        operation("b", 0.1, "trials/0/report", {"lease": "L0.1", "reports": [{"step": 0, "values": ["NaN"]}]},
                  {"prune": False, "reason": None, "kept": []}),
        operation("c", 0.2, "trials/0/suggest", {"lease": "L0.1", "name": "y"}, {"value": 0.5}),
        operation("d", 0.3, "trials/0/tell", {"lease": "L0.1", "state": "complete", "values": [-0.0]},
                  {"state": "complete", "values": [-0.0]}),
        operation("e", 0.4, "trials/0", None, {"number": 0, "state": "complete"}),
        operation("f", 1.0, "ask", ask("k1"), asked(1, 1)),
        operation("g", 6.0, "ask", ask("k2"), asked(1, 2)),
        operation("h", 6.1, "trials/1/tell", {"lease": "L1.1", "state": "failed"}, {"code": "lease_lost"}, status=409),
        operation("i", 6.2, "trials/1/tell", {"lease": "L1.2", "state": "complete", "values": [1.5]},
                  {"state": "complete", "values": [1.5]}),
        operation("j", 11.0, "best", None, {"number": 0}),
    ]  # fmt: skip
    rows = {
        "trials": [trial(0, "complete", 1, 0, 1, [-0.0]), trial(1, "complete", 2, 1, 2, [1.5])],
        "leases": [
            lease(0, 1, "k0", live=False, ended="told", expires=4.1),
            lease(1, 1, "k1", live=False, ended="expired", expires=5.0),
            lease(1, 2, "k2", live=False, ended="told", expires=10.0),
        ],
        "reports": [
            {"number": 0, "epoch": 1, "step": 0, "values": [float("nan")], "seq": 3, "prune": False, "reason": None}
        ],
        "suggestions": [{"number": 0, "name": "y", "distribution_id": 1, "value": 0.5, "seq": 4}],
        "events": [
            event(1, "created", None),
            event(2, "issued", 0, epoch=1),
            event(5, "told", 0, epoch=1, state="complete"),
            event(6, "issued", 1, epoch=1),
            event(7, "expired", 1, epoch=1, state="waiting", attempt=1),
            event(8, "issued", 1, epoch=2),
            event(9, "told", 1, epoch=2, state="complete"),
        ],
        "late_results": [{"number": 1, "body": {"lease": "L1.1", "state": "failed", "values": None, "user_attrs": {}}}],
        "distributions": [{"id": 0, "name": "x", "spec": SPEC}, {"id": 1, "name": "y", "spec": SPEC}],
        "chaos_leases": [
            audit(0.005, 0, 1, 4.0, None),
            audit(0.105, 0, 1, 4.1, 4.0),
            audit(0.305, 0, 1, 4.1, 4.1, live=False, ended="told"),
            audit(1.005, 1, 1, 5.0, None),
            audit(5.5, 1, 1, 5.0, 5.0, live=False, ended="expired"),
            audit(6.005, 1, 2, 10.0, None),
            audit(6.205, 1, 2, 10.0, 10.0, live=False, ended="told"),
        ],
    }
    study = StudyFacts(
        id=STUDY,
        study={"directions": ["minimize"], "max_trials": 2, "max_attempts": 2, "lease_seconds": LEASE_S},
        clock={"seq": 9, "next_number": 2, "handed": 2},
        rows=rows,
        operations=operations,
    )
    cache = {
        "replica": "a", "study": STUDY, "clock": dict(study.clock), "unfinished": {},
        "losses": {"0": [-0.0], "1": [1.5]},
    }  # fmt: skip
    return Facts(
        operations=operations, studies={STUDY: study}, now=T0 + 12.0, rest_at=T0 + 10.0, caches=[cache], replicas=1,
        ticks=[{"before": after(0.5), "after": after(1.0)}], logs={"server.log": "WARNING all is well"},
    )  # fmt: skip


def event(seq: int, kind: str, number: int | None, **payload: Any) -> dict[str, Any]:
    return {"seq": seq, "kind": kind, "number": number, "payload": payload}


def change(table: str, index: int, **values: Any) -> Callable[[Facts], None]:
    """Changes a row."""
    return lambda facts: facts.studies[STUDY].rows[table][index].update(values)


def drop(table: str, index: int) -> Callable[[Facts], None]:
    """Removes a row."""

    def remove(facts: Facts) -> None:
        del facts.studies[STUDY].rows[table][index]

    return remove


def answered(id: str, **values: Any) -> Callable[[Facts], None]:
    """Changes what an operation came to."""

    def rewrite(facts: Facts) -> None:
        found = next(one for one in facts.operations if one.id == id)
        for name, value in values.items():
            setattr(found, name, value)

    return rewrite


def exempt_and_pruned(facts: Facts) -> None:
    """Takes the seq of trial 0's suggestion for its exemption, and that of its end for a report."""
    rows = facts.studies[STUDY].rows
    rows["events"].append(event(4, "exempted", 0))
    rows["reports"].append(
        {"number": 0, "epoch": 1, "step": 1, "values": [0.0], "seq": 5, "prune": True, "reason": "bad"}
    )


def more(one: Operation) -> Callable[[Facts], None]:
    """Another operation; the study's list and that of all are one here."""
    return lambda facts: facts.operations.append(one)


REPEATED_ASK = operation("z", 0.5, "ask", ask("another key"), asked(0, 1), call="c0")
SECOND_RESULT = operation(
    "z", 7.0, "trials/1/tell", {"lease": "L1.2", "state": "failed"}, {"state": "complete", "values": [1.5]}
)
OTHER_Y = operation("z", 0.25, "trials/0/suggest", {"lease": "L0.1", "name": "y"}, {"value": 0.75})
STALE_READ = operation("z", 6.5, "trials/1", None, {"number": 1, "state": "running"})

BROKEN: list[tuple[str, str, Callable[[Facts], None]]] = [
    ("I1", "a number is missing", change("trials", 1, number=2)),
    ("I2", "an acknowledged lease is not stored", drop("leases", 0)),
    ("I2", "other parameters", change("trials", 0, proposed=[0.75])),
    ("I2", "another value for a late parameter", more(OTHER_Y)),
    ("I3", "two leases under one key", change("leases", 2, request_id="k1")),
    ("I4", "another value is stored", change("trials", 1, values=[1.25])),
    ("I4", "a zero lost its sign", change("trials", 0, values=[0.0])),
    ("I4", "no event", drop("events", 6)),
    ("I5", "two results were taken", more(SECOND_RESULT)),
    ("I6", "a report is gone", drop("reports", 0)),
    ("I6", "a report is overwritten", change("reports", 0, values=[1.0])),
    ("I7", "a seq is missing", drop("events", 0)),
    ("I7", "a seq is there twice", change("events", 6, seq=8)),
    ("I8", "an epoch is left out", change("events", 5, payload={"epoch": 3})),
    ("I8", "handed out while it runs", drop("events", 4)),
    ("I8", "two live leases", lambda f: [r.update(live=True) for r in f.studies[STUDY].rows["leases"][1:]]),
    ("I8", "a failure from an ended lease", change("events", 6, payload={"epoch": 1, "state": "failed"})),
    ("I9", "an attempt was not counted", change("trials", 1, attempt=0)),
    ("I9", "too many attempts", lambda f: f.studies[STUDY].study.update(max_attempts=0)),
    ("I10", "a refused result is gone", drop("late_results", 0)),
    ("I11", "a lease that nobody asked for", change("leases", 0, request_id="unheard of")),
    ("I11", "a repetition under another key", more(REPEATED_ASK)),
    ("I12", "an overdue lease", change("leases", 2, live=True, expires_at=after(6.0))),
    ("I13", "a trial still runs", change("trials", 1, state="running")),
    ("I14", "another decision was answered", answered("b", reply={"prune": True, "reason": "bad", "kept": []})),
    ("I14", "a decision to prune was forgotten", lambda f: f.studies[STUDY].rows["reports"].insert(
        0, {"number": 0, "epoch": 1, "step": -1, "values": [0.0], "seq": 2, "prune": True, "reason": "bad"})),
    ("I14", "an exempt trial was to be pruned", exempt_and_pruned),
    ("I15", "the cache lags behind", lambda f: f.caches[0]["clock"].update(seq=8)),
    ("I15", "the cache has another result", lambda f: f.caches[0]["losses"].update({"1": [1.25]})),
    ("I15", "the cache has an unfinished trial", lambda f: f.caches[0]["unfinished"].update({"1": {}})),
    ("I16", "another trial is the best", answered("j", reply={"number": 1})),
    ("I17", "an unforeseen error", answered("e", status=500, outcome="unknown")),
    ("I17", "a traceback", lambda f: f.logs.update(x="Traceback (most recent call last):\n  File")),
    ("I17", "a token in a log", lambda f: f.logs.update(x=f"Bearer tpk_admin_{'0' * 30}_000000")),
    ("I18", "a stale read", more(STALE_READ)),
    ("I19", "an expiry moved back", change("chaos_leases", 1, expires_at=after(3.9))),
    ("I19", "taken before its time", change("chaos_leases", 4, at=after(4.5))),
    ("I19", "given away under a live lease", drop("chaos_leases", 4)),
    ("I19", "less than its period", change("chaos_leases", 5, expires_at=after(8.0))),
    ("I19", "no amnesty", lambda f: f.ticks.append({"before": after(2.0), "after": after(5.45)})),
    ("I20", "idle in a transaction", lambda f: f.activity.append({"state": "idle in transaction", "age_s": 5.0})),
    ("I20", "too many connections", lambda f: f.activity.extend([{"state": "idle", "age_s": 0.0}] * 9)),
    ("I21", "more than the budget", lambda f: f.studies[STUDY].study.update(max_trials=1)),
]  # fmt: skip


def test_a_clean_history_has_no_violation() -> None:
    found = violations(clean())

    assert found == {}, describe(found)


def test_every_invariant_is_broken_by_some_case() -> None:
    assert {invariant for invariant, *_ in BROKEN} == INVARIANTS.keys()


@pytest.mark.parametrize(("invariant", "what", "spoil"), BROKEN, ids=[f"{one[0]} {one[1]}" for one in BROKEN])
def test_what_breaks_an_invariant_is_found(invariant: str, what: str, spoil: Callable[[Facts], None]) -> None:
    facts = clean()
    spoil(facts)

    assert invariant in violations(facts), what
