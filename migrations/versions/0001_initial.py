"""The first schema: studies, trials, leases, reports and what makes their writes idempotent."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# One function is the only clock of all statements, so that a test can move time.
CLOCK = """
CREATE FUNCTION tpeak_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()'
"""

# The one row is made here, so that every later statement can rely on it.
META = """
CREATE TABLE meta (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    incarnation uuid NOT NULL DEFAULT gen_random_uuid(),
    reaper_tick timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO meta DEFAULT VALUES
"""

STUDIES = """
CREATE TABLE studies (
    id bigint PRIMARY KEY,
    workspace text NOT NULL DEFAULT 'default',
    name text NOT NULL,
    directions text[] NOT NULL,
    sampler json NOT NULL,
    pruner json NOT NULL,
    space json,
    seed bigint NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paused', 'stopped', 'archived')),
    max_trials integer,
    timeout_s float8,
    lease_seconds float8 NOT NULL,
    max_attempts integer NOT NULL,
    user_attrs json NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    note text NOT NULL DEFAULT '',
    created_by text,
    created_at timestamptz NOT NULL DEFAULT tpeak_now(),
    first_ask_at timestamptz
);
CREATE TABLE study_names (
    workspace text NOT NULL DEFAULT 'default',
    name text NOT NULL,
    study_id bigint NOT NULL,
    PRIMARY KEY (workspace, name)
);
-- next_number, seq: what every writer locks first and takes its numbers from. handed: numbers handed out so far.
CREATE TABLE study_clocks (
    study_id bigint PRIMARY KEY,
    next_number integer NOT NULL DEFAULT 0,
    handed integer NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10)
"""

TRIALS = """
CREATE TABLE distributions (
    study_id bigint NOT NULL,
    id smallint NOT NULL,
    name text NOT NULL,
    spec text NOT NULL,
    seen_seq bigint NOT NULL,
    PRIMARY KEY (study_id, id),
    UNIQUE (study_id, name, spec)
);
CREATE TABLE trials (
    study_id bigint NOT NULL,
    number integer NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'running', 'complete', 'pruned', 'failed', 'lost')),
    proposed_ids smallint[] NOT NULL,
    proposed float8[] NOT NULL,
    fixed json,
    values float8[],
    constraints float8[],
    origin text NOT NULL,
    epoch integer NOT NULL,
    attempt integer NOT NULL,
    told_epoch integer,
    told_hash bytea,
    cause text,
    sampled_at_seq bigint,
    sampler_version text,
    resume_epoch integer,
    created_at timestamptz NOT NULL DEFAULT tpeak_now(),
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (study_id, number)
) WITH (fillfactor = 60);
CREATE TABLE suggestions (
    study_id bigint NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    distribution_id smallint NOT NULL,
    value float8 NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (study_id, number, name)
);
CREATE INDEX suggestions_by_seq ON suggestions (study_id, seq);
CREATE TABLE trial_attrs (
    study_id bigint NOT NULL,
    number integer NOT NULL,
    key text NOT NULL,
    value json NOT NULL,
    PRIMARY KEY (study_id, number, key)
)
"""

# expires_at stands in no index, so that a renewal is a HOT update.
LEASES = """
CREATE TABLE leases (
    study_id bigint NOT NULL,
    number integer NOT NULL,
    epoch integer NOT NULL,
    token text NOT NULL,
    worker text NOT NULL,
    request_id text NOT NULL,
    ordinal smallint NOT NULL,
    request_hash bytea NOT NULL,
    used text[],
    live boolean NOT NULL DEFAULT true,
    ended text CHECK (ended IN ('told', 'released', 'expired', 'superseded')),
    issued_at timestamptz NOT NULL DEFAULT tpeak_now(),
    expires_at timestamptz NOT NULL,
    resume_epoch integer,
    checkpoint text,
    checkpoint_step bigint,
    PRIMARY KEY (study_id, number, epoch),
    UNIQUE (study_id, request_id, ordinal)
) WITH (fillfactor = 60);
CREATE INDEX leases_live ON leases (study_id, number) WHERE live;
CREATE TABLE reports (
    study_id bigint NOT NULL,
    number integer NOT NULL,
    epoch integer NOT NULL,
    step bigint NOT NULL,
    values float8[] NOT NULL,
    cost float8,
    reported_at timestamptz NOT NULL DEFAULT tpeak_now(),
    seq bigint NOT NULL,
    prune boolean NOT NULL,
    reason text,
    PRIMARY KEY (study_id, number, epoch, step)
);
CREATE INDEX reports_by_seq ON reports (study_id, seq)
"""

RECORDS = """
CREATE TABLE late_results (
    study_id bigint NOT NULL,
    number integer NOT NULL,
    hash bytea NOT NULL,
    code text NOT NULL,
    body json NOT NULL,
    received_at timestamptz NOT NULL DEFAULT tpeak_now(),
    PRIMARY KEY (study_id, number, hash)
);
CREATE TABLE requests (
    study_id bigint NOT NULL,
    request_id text NOT NULL,
    hash bytea NOT NULL,
    reply json NOT NULL,
    received_at timestamptz NOT NULL DEFAULT tpeak_now(),
    PRIMARY KEY (study_id, request_id)
);
CREATE TABLE events (
    study_id bigint NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    number integer,
    payload json,
    at timestamptz NOT NULL DEFAULT tpeak_now(),
    PRIMARY KEY (study_id, seq)
);
CREATE TABLE workers (
    id text PRIMARY KEY,
    host text NOT NULL,
    pid bigint NOT NULL,
    client_version text NOT NULL,
    python text,
    job json,
    git_commit text,
    git_dirty boolean,
    registered_at timestamptz NOT NULL DEFAULT tpeak_now(),
    last_seen timestamptz NOT NULL DEFAULT tpeak_now()
)
"""


def upgrade() -> None:
    for statements in (CLOCK, META, STUDIES, TRIALS, LEASES, RECORDS):
        op.execute(statements)
