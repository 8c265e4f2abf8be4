"""Results: taken once, kept as they were told, seen by every reader."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.chaos.facts import FINAL, StudyFacts, bits, canonical
from tests.chaos.history import Operation
from tests.chaos.invariants.finding import Finding, finding

BODY = ("lease", "state", "values", "constraints", "error", "user_attrs", "used")
"""What a tell consists of."""


def told_results_stand(study: StudyFacts) -> Iterator[Finding]:
    """I4: an acknowledged tell equals the stored result, bit for bit."""
    for tell in _acknowledged(study):
        number = tell.number or 0
        trial, lease = study.trials.get(number), study.leases.get(tell.body.get("lease"))
        if trial is None or ("lease" in tell.body and lease is None):
            yield finding(f"a result of trial {number} was acknowledged, and trial or lease are gone", tell)
            continue
        epoch = lease["epoch"] if lease is not None else trial["told_epoch"]
        state, values = told(tell)
        if not _told_once(study, number, epoch, state):
            yield finding(f"the acknowledged result of trial {number} left no event", tell, study.events[number])
        if study.forgotten(number):
            continue
        stored = (trial["told_epoch"], trial["state"], bits(trial["values"]))
        if stored[:2] != (epoch, state) or (values is not None and stored[2] != values):
            yield finding(f"the acknowledged result of trial {number} is not the stored one", tell, trial)
        if (tell.reply["state"], bits(tell.reply["values"])) != stored[1:]:
            yield finding(f"the answer to a tell of trial {number} is not what is stored", tell, trial)


def told(tell: Operation) -> tuple[str, tuple[str, ...] | None]:
    """State and values that the tell comes to; None where it leaves the values to the server, or has none."""
    values = bits(tell.body.get("values"))
    if tell.body["state"] == "complete" and any(math.isnan(float(value)) for value in values or ()):
        return "failed", None
    return tell.body["state"], values


def one_tell_wins(study: StudyFacts) -> Iterator[Finding]:
    """I5: at most one winning tell a trial; every other one got 409."""
    winners: dict[int, dict[tuple[Any, str], Operation]] = defaultdict(dict)
    for tell in _acknowledged(study):
        lease = study.leases.get(tell.body.get("lease"))
        content = canonical({name: value for name, value in tell.body.items() if name != "lease"})
        winners[tell.number or 0].setdefault((lease and lease["epoch"], content), tell)
    for number, tells in winners.items():
        if len(tells) > 1 and not study.forgotten(number):
            yield finding(f"trial {number} took {len(tells)} different results", *tells.values())
    for number, events in study.events.items():
        kinds = [event["kind"] for event in events]
        if number is not None and kinds.count("told") > 1 + kinds.count("retried"):
            yield finding(f"trial {number} was told {kinds.count('told')} times", events)


def refused_tells_are_kept(study: StudyFacts) -> Iterator[Finding]:
    """I10: every tell answered 409 left its body in late_results, once."""
    kept: dict[tuple[int, str], int] = defaultdict(int)
    for row in study.rows["late_results"]:
        kept[row["number"], _content(row["body"])] += 1
    for tell in study.of_kind("tell"):
        if tell.status != 409:
            continue
        count = kept[tell.number or 0, _content(tell.body)]
        if count != 1:
            yield finding(f"a refused result of trial {tell.number} is kept {count} times", tell)


def _content(body: dict[str, Any]) -> str:
    content = {name: body.get(name) for name in BODY}
    for name in ("values", "constraints"):
        content[name] = bits(content[name])
    return canonical({**content, "user_attrs": content["user_attrs"] or {}})


def told_trials_are_seen_finished(study: StudyFacts) -> Iterator[Finding]:
    """I18: after an acknowledged tell no read through any replica shows the trial unfinished."""
    since: dict[int, Operation] = {}
    for tell in _acknowledged(study):
        number = tell.number or 0
        if number not in since or _end(tell) < _end(since[number]):
            since[number] = tell
    for read in study.of_kind("get_trial"):
        first = since.get(read.number or 0)
        if first is None or not read.ok or read.at <= _end(first) or study.forgotten(read.number or 0):
            continue
        if read.reply["state"] not in FINAL:
            yield finding(f"trial {read.number} was read unfinished after its result was acknowledged", first, read)


def _end(operation: Operation) -> float:
    return math.inf if operation.end is None else operation.end


def _acknowledged(study: StudyFacts) -> Iterator[Operation]:
    """The tells that the server took as results; a failure to be tried again is none."""
    return (tell for tell in study.of_kind("tell") if tell.ok and not tell.body.get("retry"))


def _told_once(study: StudyFacts, number: int, epoch: int, state: str) -> bool:
    return any(
        event["kind"] == "told" and event["payload"]["epoch"] == epoch and event["payload"]["state"] == state
        for event in study.events[number]
    )
