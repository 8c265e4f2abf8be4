"""A trial's life, as its events tell it, and the seqs that order them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.facts import FINAL, Facts, StudyFacts
from tests.chaos.invariants.finding import Finding, finding

REAPER_TICKS_S = 1.0
"""Two ticks of the reaper."""

SILENT_KINDS = frozenset({"attrs", "changed", "exempted"})
"""Events of a trial that leave its state alone."""


def seqs_are_dense(study: StudyFacts) -> Iterator[Finding]:
    """I7: the union of a study's events, reports and suggestions is dense in seq."""
    rows = [row for table in ("events", "reports", "suggestions") for row in study.rows[table]]
    seqs = sorted(row["seq"] for row in rows)
    if seqs != list(range(1, study.clock["seq"] + 1)):
        missing = sorted(set(range(1, study.clock["seq"] + 1)) - set(seqs))
        yield finding(f"its seqs are not 1 .. {study.clock['seq']}", missing[:20], len(seqs))


@dataclass(slots=True)
class Life:
    """Where a trial is, by its events so far."""

    state: str | None = None
    epoch: int = 0
    attempt: int = 0


def lives_are_legal(study: StudyFacts) -> Iterator[Finding]:
    """I8: a trial's events form a legal path: never two live leases, epochs rise by one."""
    for number, row in study.trials.items():
        life = Life()
        for event in study.events[number]:
            trouble = _step(study, number, life, event["kind"], event["payload"])
            if trouble is not None:
                yield finding(f"trial {number}: {trouble}", event, study.events[number])
                break
        else:
            if (life.state, life.epoch, life.attempt) != (row["state"], row["epoch"], row["attempt"]):
                yield finding(f"trial {number} is not what its events say: {life}", row, study.events[number])
    for number, live in _live(study).items():
        trial = study.trials.get(number)
        if trial is None or trial["state"] != "running" or live != [trial["epoch"]]:
            yield finding(f"trial {number} has live leases of the epochs {live}", trial)
    for number, trial in study.trials.items():
        if trial["state"] == "running" and number not in _live(study):
            yield finding(f"trial {number} runs without a lease", trial)


def _live(study: StudyFacts) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in study.rows["leases"]:
        if row["live"]:
            found.setdefault(row["number"], []).append(row["epoch"])
    return found


def _step(study: StudyFacts, number: int, life: Life, kind: str, payload: dict[str, Any]) -> str | None:
    """What is wrong with the event; else the life goes on by it."""
    of_holder = life.state == "running" and payload.get("epoch") == life.epoch
    before = life.state
    life.state = payload.get("state", before)
    match kind:
        case "added":
            return None if before is None else "added twice"
        case "issued":
            life.state, life.epoch = "running", life.epoch + 1
            legal = before in {None, "waiting"} and payload["epoch"] == life.epoch
            return None if legal else f"issued as epoch {payload['epoch']} while {before}"
        case "told":
            worth = of_holder or _worth_it(study, number, payload)
            legal = before is not None and before not in FINAL and payload["epoch"] <= life.epoch and worth
            return None if legal else f"told {payload['state']} by epoch {payload['epoch']} while {before}"
        case "released":
            life.state = payload.get("state", "waiting")
            return None if of_holder else f"released by epoch {payload['epoch']} while {before}"
        case "expired" | "returned":
            life.attempt += 1
            legal = of_holder and payload["attempt"] == life.attempt
            return None if legal else f"{kind} from epoch {payload['epoch']} while {before}"
        case "cancelled" | "failed":
            life.state = payload.get("state", "failed")
            return None if before in {"waiting", "running"} else f"{kind} while {before}"
        case "deleted":
            life.state = before if before in FINAL | {"lost"} else "failed"
            return None
        case "retried":
            life.state, life.attempt = "waiting", 0
            return None if before in {"failed", "lost"} else f"retried while {before}"
    return None if kind in SILENT_KINDS else f"an event of the kind {kind}"


def _worth_it(study: StudyFacts, number: int, payload: dict[str, Any]) -> bool:
    """Whether a result counts though its lease had ended."""
    decided = (number, payload["epoch"]) in study.pruned
    return payload["state"] == "complete" or (payload["state"] == "pruned" and decided)


def attempts_are_counted(study: StudyFacts) -> Iterator[Finding]:
    """I9: attempts <= max_attempts; releases do not count."""
    most = study.study["max_attempts"]
    for number, trial in study.trials.items():
        kinds = [event["kind"] for event in study.events[number]]
        since = len(kinds) - kinds[::-1].index("retried") if "retried" in kinds else 0
        used = sum(kind in {"expired", "returned"} for kind in kinds[since:])
        if trial["attempt"] != used or used > most:
            yield finding(f"trial {number} counts {trial['attempt']} attempts, it were {used} of {most}", trial)
        if trial["state"] == "lost" and used != most:
            yield finding(f"trial {number} was lost after {used} attempts of {most}", trial)


def nothing_is_overdue(facts: Facts) -> Iterator[Finding]:
    """I12: at rest no running trial is past its expiry by more than the lease and two reaper ticks."""
    for study in facts.studies.values():
        allowed = study.study["lease_seconds"] + REAPER_TICKS_S
        for row in study.rows["leases"]:
            late = facts.now - row["expires_at"].timestamp()
            if facts.rest_at is not None and row["live"] and late > allowed:
                yield finding(f"study {study.id}: the lease of trial {row['number']} is {late:.1f} s overdue", row)


def everything_ends(facts: Facts) -> Iterator[Finding]:
    """I13: after draining, every trial is final, lost or waiting, and every waiting one can be asked."""
    if facts.rest_at is None:
        return
    for study in facts.studies.values():
        budget = study.study["max_trials"]
        spent = budget is not None and study.clock["handed"] >= budget
        for number, trial in study.trials.items():
            # Whoever drains asks until nothing is handed out: what still waits then nobody can get.
            unpaid = trial["epoch"] == 0 and spent
            if trial["state"] == "running" or (trial["state"] == "waiting" and not unpaid and not trial.get("deleted")):
                yield finding(f"study {study.id}: trial {number} is {trial['state']} after draining", trial)
