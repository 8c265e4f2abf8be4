"""Control over studies and trials, hosts that fail, and the database's identity."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STUDIES = """
ALTER TABLE studies
    ADD COLUMN late_results text NOT NULL DEFAULT 'accept' CHECK (late_results IN ('accept', 'refuse')),
    ADD COLUMN max_host_failures integer DEFAULT 3
"""

# avoid_host: where the trial last failed, and should not be handed out again while others can have it.
# deleted: nobody sees it any more; the row stays, so that numbers and seqs have no gap.
TRIALS = """
ALTER TABLE trials
    ADD COLUMN avoid_host text,
    ADD COLUMN deleted boolean NOT NULL DEFAULT false
"""

# told_hash: what the lease told, so that a repeated tell gets its first answer whatever became of the trial since.
LEASES = """
ALTER TABLE leases
    ADD COLUMN host text,
    ADD COLUMN cancelled boolean NOT NULL DEFAULT false,
    ADD COLUMN told_hash bytea,
    DROP CONSTRAINT leases_ended_check,
    ADD CONSTRAINT leases_ended_check CHECK (ended IN ('told', 'returned', 'released', 'expired', 'superseded'));
UPDATE leases SET told_hash = trials.told_hash
FROM trials
WHERE trials.study_id = leases.study_id AND trials.number = leases.number AND trials.told_epoch = leases.epoch
"""

# failures: fast ones in a row. A host without any has no row that matters.
# owed: how many of them ended their trial and have not been given back to the budget.
HOSTS = """
CREATE TABLE hosts (
    study_id bigint NOT NULL,
    host text NOT NULL,
    failures integer NOT NULL,
    owed integer NOT NULL,
    paused_until timestamptz,
    cause text,
    PRIMARY KEY (study_id, host)
)
"""

# Which database this is, as PostgreSQL tells it; another one, under the same rows, was restored from a backup.
META = """
ALTER TABLE meta ADD COLUMN identity text
"""


def upgrade() -> None:
    for statements in (STUDIES, TRIALS, LEASES, HOSTS, META):
        op.execute(statements)
