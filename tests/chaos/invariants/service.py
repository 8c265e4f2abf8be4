"""The service as a whole: caches, the best trial, errors, logs, connections."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tests.chaos.facts import TOKEN, Facts, Row, StudyFacts, bits
from tests.chaos.invariants.finding import Finding, finding

TEACHES = frozenset({"complete", "pruned", "lost"})
ALLOWED_ERRORS = frozenset({503, 504})
CONNECTIONS = 8
"""What one server may hold: two pools of four."""

IDLE_S = 2.0
"""How long a connection may be idle in a transaction between two of its statements, on a busy machine."""


def caches_are_exact(facts: Facts) -> Iterator[Finding]:
    """I15: each replica's cached history equals what SQL says."""
    for cache in facts.caches:
        study = facts.studies[cache["study"]]
        where = f"replica {cache['replica']}, study {study.id}"
        clock = {name: study.clock[name] for name in ("seq", "next_number", "handed")}
        if cache["clock"] != clock:
            # While leases are out, a reaper may have written since the cache was looked at.
            if facts.rest_at is not None:
                yield finding(f"{where}: the cache is at another place", cache["clock"], clock)
            continue
        seen = {n: t for n, t in study.trials.items() if not t.get("deleted")}
        unfinished = {n: _unfinished(study, t) for n, t in seen.items() if t["state"] in {"waiting", "running"}}
        if {int(n): one for n, one in cache["unfinished"].items()} != unfinished:
            yield finding(f"{where}: other unfinished trials", cache["unfinished"], unfinished)
        losses = {n: _losses(study, t) for n, t in seen.items() if t["state"] in TEACHES}
        held = {int(n): bits(loss) for n, loss in cache["losses"].items()}
        if held != losses:
            wrong = {n: (held.get(n), losses.get(n)) for n in held.keys() | losses if held.get(n) != losses.get(n)}
            yield finding(f"{where}: other results", wrong)


def _unfinished(study: StudyFacts, trial: Row) -> dict[str, Any]:
    live = [row for row in study.rows["leases"] if row["number"] == trial["number"] and row["live"]]
    return {
        "state": trial["state"],
        "epoch": trial["epoch"],
        "attempt": trial["attempt"],
        "lease": live[0]["token"] if live else None,
    }


def _losses(study: StudyFacts, trial: Row) -> tuple[str, ...] | None:
    directions = study.study["directions"]
    if trial["state"] != "complete":
        return bits([math.nan] * len(directions))
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in directions]
    return bits([sign * value for sign, value in zip(signs, trial["values"], strict=True)])


def best_is_best(facts: Facts) -> Iterator[Finding]:
    """I16: best = the best over finite complete values, recomputed in plain Python."""
    for study in facts.studies.values():
        sign = -1.0 if study.study["directions"] == ["maximize"] else 1.0
        ranked = [
            (sign * trial["values"][0], number)
            for number, trial in study.trials.items()
            if trial["state"] == "complete" and math.isfinite(trial["values"][0]) and not trial.get("deleted")
        ]
        for read in study.of_kind("best"):
            if facts.rest_at is None or read.at < facts.rest_at or read.status not in {200, 404}:
                continue
            answer = read.reply["number"] if read.status == 200 else None
            if answer != (min(ranked)[1] if ranked else None):
                yield finding(f"study {study.id}: another trial is the best: {min(ranked, default=None)}", read)


def errors_are_foreseen(facts: Facts) -> Iterator[Finding]:
    """I17: no 5xx but 503/504; no traceback and no token in any log."""
    for operation in facts.operations:
        if operation.status is not None and operation.status >= 500 and operation.status not in ALLOWED_ERRORS:
            yield finding(f"{operation.method} {operation.path} was answered {operation.status}", operation)
    for name, text in facts.logs.items():
        if "Traceback (most recent call last)" in text:
            at = text.index("Traceback (most recent call last)")
            yield finding(f"a traceback in {name}", text[max(0, at - 300) : at + 3000])
        if TOKEN.search(text):
            yield finding(f"a token in {name}")


def connections_are_returned(facts: Facts) -> Iterator[Finding]:
    """I20: no connection left idle in a transaction; idle + checked-out = pool."""
    if facts.rest_at is None:
        return
    for row in facts.activity:
        if (row["state"] or "").startswith("idle in transaction") and row["age_s"] > IDLE_S:
            yield finding(f"a connection is {row['state']} for {row['age_s']:.1f} s", row)
    if facts.replicas is not None and len(facts.activity) > CONNECTIONS * facts.replicas:
        yield finding(f"{len(facts.activity)} connections of {facts.replicas} servers", facts.activity)
