"""Migrations of databases that are in use: a study that an older server had is gone on with by this one.

Each revision has rows of its own below, as a server of its time would have left them, so that a new revision without
rows for the one before it fails here.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.trial import TrialState
from tpeak_server.domain.which import Which
from tpeak_server.service.application import Application
from tpeak_server.service.commands import Ask, Heartbeat, ReportSteps, Step, Tell
from tpeak_server.storage.schema import head, migrate, revisions

STUDY = 77

ROWS_0001 = """
INSERT INTO studies (id, name, directions, sampler, pruner, space, seed, max_trials, timeout_s, lease_seconds,
    max_attempts, user_attrs, tags, note, first_ask_at) VALUES
    (77, 'old', '{minimize}', '{"name": "tpe", "n_startup_trials": 2, "n_ei_candidates": 24}',
    '{"name": "median", "n_startup_trials": 1, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1}',
    '{"x": {"type": "float", "low": 0.0, "high": 1.0}}', 7, 10, 36000, 600, 2, '{"a": [1]}', '{t}', 'n', now());
INSERT INTO study_names (name, study_id) VALUES ('old', 77);
INSERT INTO study_clocks (study_id, next_number, handed, seq) VALUES (77, 5, 4, 13);
INSERT INTO distributions (study_id, id, name, spec, seen_seq) VALUES
    (77, 0, 'x', '{"type":"float","low":0.0,"high":1.0}', 2),
    (77, 1, 'k', '{"type":"categorical","choices":["a",null,1]}', 4);
INSERT INTO trials (study_id, number, state, proposed_ids, proposed, fixed, values, constraints, origin, epoch, attempt,
    told_epoch, told_hash, cause, sampled_at_seq, sampler_version, resume_epoch, started_at, finished_at) VALUES
    (77, 0, 'complete', '{0}', '{0.5}', NULL, '{0.25}', '{-1}', 'startup', 1, 0, 1, '\\x00ff', NULL, 1, 'tpe-1', NULL,
        now(), now()),
    (77, 1, 'running', '{0}', '{0.75}', NULL, NULL, NULL, 'startup', 2, 1, NULL, NULL, NULL, 1, 'tpe-1', 1, now(),
        NULL),
    (77, 2, 'failed', '{0}', '{0.125}', NULL, NULL, NULL, 'tpe', 1, 0, 1, '\\x0001', 'boom', 1, 'tpe-1', NULL, now(),
        now()),
    (77, 3, 'lost', '{0}', '{0.25}', NULL, NULL, NULL, 'tpe', 2, 2, NULL, NULL, 'silent', 1, 'tpe-1', NULL, now(),
        now()),
    (77, 4, 'waiting', '{}', '{}', '{"x": 0.5}', NULL, NULL, 'enqueued', 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL);
INSERT INTO suggestions (study_id, number, name, distribution_id, value, seq) VALUES (77, 0, 'k', 1, 1, 4);
INSERT INTO trial_attrs (study_id, number, key, value) VALUES (77, 0, 'a', '{"b": null}');
INSERT INTO leases (study_id, number, epoch, token, worker, request_id, ordinal, request_hash, used, live, ended,
    expires_at, resume_epoch, checkpoint, checkpoint_step) VALUES
    (77, 0, 1, 'token-0', 'w', 'ask-0', 0, '\\x01', '{x,k}', false, 'told', now(), NULL, NULL, NULL),
    (77, 1, 1, 'token-1', 'w', 'ask-1', 0, '\\x01', NULL, false, 'released', now(), NULL, 'file:///c', 0),
    (77, 1, 2, 'token-2', 'w', 'ask-2', 0, '\\x01', NULL, true, NULL, now() + interval '1 h', 1, NULL, NULL),
    (77, 2, 1, 'token-3', 'w', 'ask-3', 0, '\\x01', NULL, false, 'told', now(), NULL, NULL, NULL),
    (77, 3, 1, 'token-4', 'w', 'ask-4', 0, '\\x01', NULL, false, 'expired', now(), NULL, NULL, NULL),
    (77, 3, 2, 'token-5', 'w', 'ask-5', 0, '\\x01', NULL, false, 'superseded', now(), NULL, NULL, NULL);
INSERT INTO reports (study_id, number, epoch, step, values, cost, seq, prune, reason) VALUES
    (77, 0, 1, 0, '{0.5}', 1.5, 5, false, NULL), (77, 0, 1, 1, '{NaN}', NULL, 6, false, NULL),
    (77, 1, 1, 0, '{-0}', NULL, 8, true, 'why');
INSERT INTO late_results (study_id, number, hash, code, body) VALUES
    (77, 0, '\\x02', 'lease_lost', '{"state": "failed"}');
INSERT INTO requests (study_id, request_id, hash, reply) VALUES (77, 'added', '\\x03', '{"numbers": [4], "seq": 13}');
INSERT INTO events (study_id, seq, kind, number, payload) VALUES
    (77, 1, 'created', NULL, NULL), (77, 2, 'issued', 0, '{"epoch": 1, "worker": "w"}'),
    (77, 3, 'issued', 1, '{"epoch": 1, "worker": "w"}'), (77, 7, 'told', 0, '{"state": "complete", "epoch": 1}'),
    (77, 9, 'released', 1, '{"epoch": 1, "step": 0}'), (77, 10, 'issued', 1, '{"epoch": 2, "worker": "w"}'),
    (77, 11, 'issued', 2, '{"epoch": 1, "worker": "w"}'), (77, 12, 'issued', 3, '{"epoch": 1, "worker": "w"}'),
    (77, 13, 'added', 4, '{"state": "waiting"}');
INSERT INTO workers (id, host, pid, client_version, python, job, git_commit, git_dirty) VALUES
    ('w', 'h', 1, '0.1.0', '3.11', '{"SLURM_JOB_ID": "1"}', 'abc', false);
"""

ROWS_0002 = (
    ROWS_0001
    + """
UPDATE leases SET host = 'h', told_hash = CASE ended WHEN 'told' THEN '\\x00ff'::bytea END;
INSERT INTO hosts (study_id, host, failures, owed, paused_until, cause) VALUES
    (77, 'h', 3, 0, now() + interval '1 min', 'boom');
UPDATE meta SET identity = 'another/00000001/1';
"""
)

ROWS_0003 = (
    ROWS_0002
    + """
INSERT INTO outages (ended, began) VALUES (now() - interval '1 s', now() - interval '1 min');
"""
)

ROWS_0004 = (
    ROWS_0003
    + """
UPDATE studies SET stop_when = '{"target": [-1.0], "patience": 5}';
UPDATE study_clocks SET best = 0.25, unimproved = 1;
"""
)

ROWS_0005 = (
    ROWS_0004
    + """
UPDATE studies SET warm_start =
    '[{"study": 76, "params": {"x": "y"}, "weight": 0.5, "name": "older", "seen": 3, "trials": 1}]';
INSERT INTO warm_trials (study_id, source, number, rank, params) VALUES (77, 0, 2, 0, '{"x": 0.25, "k": null}');
"""
)

ROWS_0006 = (
    ROWS_0005
    + """
UPDATE trials SET constraint_names = '{size}' WHERE constraints IS NOT NULL;
"""
)

ROWS_0007 = (
    ROWS_0006
    + """
UPDATE studies SET pruner_auto = '{"min_resource": 3}';
UPDATE trials SET exempt = true WHERE number = 1;
"""
)

ROWS_0008 = (
    ROWS_0007
    + """
INSERT INTO distributions (study_id, id, name, spec, seen_seq)
SELECT 77, 2, 'k', format('{"type":"categorical","choices":[%s]}', string_agg(format('"%s"', md5(n::text)), ',')), 3
FROM generate_series(1, 200) n;
"""
)

ROWS = {
    "0001": ROWS_0001,
    "0002": ROWS_0002,
    "0003": ROWS_0003,
    "0004": ROWS_0004,
    "0005": ROWS_0005,
    "0006": ROWS_0006,
    "0007": ROWS_0007,
    "0008": ROWS_0008,
}
"""What a database of each revision may hold: every table has rows, and every state of a trial but pruned."""

EMPTY_AT_HEAD = {
    "0001": {"hosts", "outages", "warm_trials"},
    "0002": {"outages", "warm_trials"},
    "0003": {"warm_trials"},
    "0004": {"warm_trials"},
}
"""Tables that a revision did not have."""


@pytest.fixture(params=revisions())
def migrated(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A revision, and the URL of a database with rows of that time which was then brought up to date."""
    name = f"tpeak_old_{uuid.uuid4().hex[:12]}"
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        migrate(url, request.param)
        with psycopg.connect(url, autocommit=True) as old:
            old.execute(ROWS[request.param])
        migrate(url)
        yield request.param, url
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def gone_on_with(url: str) -> dict[str, Any]:
    """What a server of today answers to the workers of the old study."""
    app = Application(url)
    found: dict[str, Any] = {}
    try:
        await app.ready()
        found["before"] = await app.reading.trials(STUDY, Which(), 100)
        found["beat"] = await app.submit(STUDY, Heartbeat(number=1, lease="token-2"))
        step = Step(step=1, values=(0.5,))
        found["reported"] = await app.submit(STUDY, ReportSteps(number=1, lease="token-2", steps=(step,)))
        tell = Tell(number=1, lease="token-2", state=TrialState.COMPLETE, values=(0.5,))
        found["told"] = [await app.submit(STUDY, tell) for _ in range(2)]
        space = {"x": FloatDistribution(low=0.0, high=1.0)}
        found["asked"] = await app.submit(STUDY, Ask(request_id="new", worker="w", count=2, distributions=space))
        found["study"], found["counts"] = await app.studies.get(STUDY)
        found["lines"] = [line async for line in app.export(STUDY)]
        found["workers"] = await app.workers()
        found["incarnation"] = await app.incarnation()
    finally:
        await app.stop()
    return found


def test_every_revision_has_rows_here() -> None:
    assert list(ROWS) == revisions()
    assert revisions()[-1] == head()


def test_every_table_had_rows(migrated: tuple[str, str]) -> None:
    revision, url = migrated
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        empty = {table for (table,) in tables if connection.execute(f"SELECT 1 FROM {table}").fetchone() is None}
    assert empty == EMPTY_AT_HEAD.get(revision, set())


def test_a_study_is_read_and_gone_on_with(migrated: tuple[str, str]) -> None:
    found = asyncio.run(gone_on_with(migrated[1]))

    first, second, *_ = (record.trial for record in found["before"].records)
    assert [record.trial.state for record in found["before"].records] == [
        "complete", "running", "failed", "lost", "waiting",
    ]  # fmt: skip
    assert (first.proposed, first.values, first.constraints, first.told_hash) == (
        {0: 0.5},
        (0.25,),
        (-1.0,),
        b"\x00\xff",
    )
    assert found["study"].pruner_auto == ({"min_resource": 3} if migrated[0] >= "0007" else {})
    assert (first.exempt, second.exempt) == (False, migrated[0] >= "0007")
    assert first.constraint_names == (("size",) if migrated[0] >= "0006" else None)
    assert (first.user_attrs, second.resume_epoch) == ({"a": {"b": None}}, 1)
    assert found["before"].records[0].suggested == {"k": (1, 1.0)}
    assert found["beat"].lease_seconds == 600.0
    assert found["reported"].kept == ()
    assert [(told.state, told.values) for told in found["told"]] == [("complete", (0.5,))] * 2
    assert [issued.record.trial.number for issued in found["asked"].trials] == [4, 5]
    assert (found["study"].name, found["study"].max_trials, found["study"].note) == ("old", 10, "n")
    assert found["counts"].by_state == {"complete": 2, "failed": 1, "lost": 1, "running": 2}
    # A study that began with another one has two lines more, and one with another distribution has one.
    lines = 11 + 2 * (migrated[0] >= "0005") + (migrated[0] >= "0008")
    assert (len(found["lines"]), found["lines"][-1].trials, found["lines"][-1].handed) == (lines, 6, 6)
    assert [worker.id for worker in found["workers"]] == ["w"]
    assert found["incarnation"]
