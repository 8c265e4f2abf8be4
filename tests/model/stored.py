"""What must be in the tables and in the caches, by the model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np

from tests.model.answers import Differs, plain
from tests.model.model import Lease, Model, Trial
from tests.model.world import REPLICAS, World
from tpeak_server.service.commands import Heartbeat
from tpeak_server.service.history import History

CLOCK = "SELECT next_number, handed, seq FROM study_clocks WHERE study_id = %s"
STUDY = """
SELECT state, late_results, lease_seconds, max_attempts, max_trials, timeout_s, note,
    extract(epoch FROM first_ask_at)::bigint
FROM studies WHERE id = %s
"""
TRIALS = (
    "SELECT number, state, epoch, attempt, values, told_epoch, deleted, exempt FROM trials WHERE study_id = %s "
    "ORDER BY number"
)
LEASES = """
SELECT number, epoch, token, request_id, ordinal, worker, live, ended, extract(epoch FROM expires_at)::bigint, used,
    checkpoint, checkpoint_step, cancelled
FROM leases WHERE study_id = %s ORDER BY number, epoch
"""
REPORTS = "SELECT number, epoch, step, values, prune FROM reports WHERE study_id = %s ORDER BY number, epoch, step"
ATTRS = "SELECT number, key, value FROM trial_attrs WHERE study_id = %s ORDER BY number, key"
LATE = "SELECT number, code, body FROM late_results WHERE study_id = %s"
REQUESTS = "SELECT request_id, reply FROM requests WHERE study_id = %s AND request_id NOT LIKE 'study %%' ORDER BY 1"
EVENTS = "SELECT number, kind, payload FROM events WHERE study_id = %s ORDER BY seq"
SEQS = """
SELECT seq FROM events WHERE study_id = %(study)s UNION ALL SELECT seq FROM reports WHERE study_id = %(study)s
UNION ALL SELECT seq FROM suggestions WHERE study_id = %(study)s ORDER BY seq
"""
NAMED = {
    "issued": ("epoch", "worker"),
    "told": ("state", "epoch"),
    "released": ("epoch", "step", "state"),
    "returned": ("epoch", "state", "attempt"),
    "cancelled": ("epoch", "state"),
    "expired": ("epoch", "state", "attempt"),
    "added": ("state",),
}
"""What an event of each kind says; of the others it is enough that they happened."""


def compare_tables(world: World, study_id: int, model: Model) -> None:
    """Raises Differs where a table does not hold what the model says."""
    trials, leases = model.trials, model.leases()
    wanted: dict[str, tuple[Any, Any]] = {
        CLOCK: ([(len(trials), model.handed, model.seq)], None),
        STUDY: ([_study(model)], None),
        TRIALS: ([_trial(trial) for trial in trials], None),
        LEASES: ([_lease(lease) for lease in leases], lambda row: (*row[:2], row[2] and str(row[2]), *row[3:])),
        REPORTS: ([report for lease in leases for report in _reports(lease)] + _added(trials), None),
        ATTRS: ([(t.number, key, value) for t in trials for key, value in sorted(t.attrs.items())], None),
        REQUESTS: ([(key, reply) for key, (_, reply) in sorted(model.requests.items())], None),
    }
    for statement, (expected, _) in wanted.items():
        found = world.rows(statement, study_id)
        if statement is LEASES:
            found = [_as_heard(row, lease) for row, lease in zip(found, leases, strict=False)] + found[len(leases) :]
        if statement is REPORTS:
            expected = sorted(expected, key=lambda row: row[:3])
        _same(statement, expected, found)
    kept_aside = [(number, code) for (number, _), code in model.kept_aside.items()]
    _same(LATE, _late(model, kept_aside), _late(model, [row[:2] for row in world.rows(LATE, study_id)]))
    _same(EVENTS, _life(model), _events(world, study_id))
    seqs = [row[0] for row in world.sql.execute(SEQS, {"study": study_id}).fetchall()]
    _same("every seq once", list(range(1, model.seq + 1)), seqs)


def compare_caches(world: World, study_id: int) -> None:
    """Raises Differs where a server's cache, once it has caught up, is not what a fresh one would be."""
    fresh = shown(world.fresh(study_id))
    for replica in range(REPLICAS):
        world.send(study_id, Heartbeat(number=10**6, lease="nobody's"), replica)
        history = world.cached(study_id, replica)
        assert history is not None, "a server that has just answered"
        cached = shown(history)
        for name in sorted(fresh.keys() | cached.keys()):
            _same(f"{name} in the cache of server {replica}", fresh.get(name), cached.get(name))


def shown(history: History) -> dict[str, str]:
    """All that a cache says, as text. Rows know times, and leases how long they last."""
    space = {name: interned.distribution for name, interned in sorted(history.current().items())}
    view = history.view(space)
    all_shown: dict[str, Any] = {
        "clock": history.clock,
        "study": history.study,
        "interned": sorted(history.interned.items()),
        "ids": sorted(history.ids.items()),
        "counts": sorted((str(state), count) for state, count in history.counts.items() if count),
        # Adding nothing makes -0.0 the 0.0 that it equals: the order of equal ones says nothing.
        "peers": (history.curves.complete, [[x + 0.0 for x in history.curves.losses_at(step)] for step in range(8)]),
        "rows": [view.numbers, view.outcome, view.loss, view.last_step, view.last_loss, view.violation],
        "columns": sorted(view.columns.items()),
        "pending": sorted(history.pending(space).items()),
        "proposed": sorted(history.proposed_since(0, space).items()),
    }
    for number, record in sorted(history.unfinished.items()):
        timeless = replace(record.trial, created_at=None, started_at=None, finished_at=None, user_attrs={})
        leases = [lease and replace(lease, remaining_s=0.0, age_s=0.0) for lease in (record.lease, record.resume)]
        by_step = (record.curve, record.costs, record.inherited, record.inherited_costs)
        curves = [sorted(one.items()) for one in by_step]
        known = [sorted(record.trial.user_attrs.items()), sorted(record.suggested.items()), record.prune_reason]
        all_shown[f"trial {number}"] = [timeless, leases, curves, known]
    with np.printoptions(threshold=10**9):
        return {name: repr(value) for name, value in all_shown.items()}


def _study(model: Model) -> tuple[Any, ...]:
    budget = (model.max_trials, model.timeout_s)
    return (
        model.state,
        model.late_results,
        model.lease_seconds,
        model.max_attempts,
        *budget,
        model.note,
        model.first_ask,
    )


def _trial(trial: Trial) -> tuple[Any, ...]:
    told = None if trial.told is None else trial.told[0]
    marks = (trial.deleted, trial.exempt)
    return (trial.number, trial.state, len(trial.leases), trial.attempt, trial.values, told, *marks)


def _lease(lease: Lease) -> tuple[Any, ...]:
    end = (lease.ended is None, lease.ended, lease.expires)
    which = (lease.number, lease.epoch, lease.token, lease.key, lease.ordinal, lease.worker)
    return (*which, *end, lease.used, lease.checkpoint, lease.step, lease.cancelled)


def _as_heard(row: tuple[Any, ...], lease: Lease) -> tuple[Any, ...]:
    """The row without a token that nobody ever heard."""
    return row if lease.token else (*row[:2], None, *row[3:])


def _reports(lease: Lease) -> list[tuple[Any, ...]]:
    return [(lease.number, lease.epoch, step, *report) for step, report in lease.reports.items()]


def _added(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(trial.number, 0, step, values, False) for trial in trials for step, values in trial.added.items()]


def _late(model: Model, rows: list[tuple[int, str]]) -> list[str]:
    """Of what was refused twice, in two orders, the first refusal is kept and the second one heard."""
    return sorted(plain((number, "either" if number in model.told_twice else code)) for number, code in rows)


def _life(model: Model) -> dict[Any, Any]:
    return {None: model.life, **{trial.number: trial.life for trial in model.trials}}


def _events(world: World, study_id: int) -> dict[Any, Any]:
    lives: dict[Any, Any] = defaultdict(list)
    for number, kind, payload in world.rows(EVENTS, study_id):
        says = NAMED.get(kind, ()) if number is not None else ()
        lives[number].append((kind, *((payload or {}).get(name) for name in says)))
    return lives


def _same(what: str, expected: Any, found: Any) -> None:
    if isinstance(expected, dict):
        expected, found = sorted(expected.items(), key=str), sorted(found.items(), key=str)
    if plain(expected) != plain(found):
        raise Differs(f"{what.strip()}\n  must be {plain(expected)}\n  and is   {plain(found)}")
