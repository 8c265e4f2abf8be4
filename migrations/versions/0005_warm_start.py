"""Trials of other studies that a study begins with."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STUDIES = """
ALTER TABLE studies ADD COLUMN warm_start json NOT NULL DEFAULT '[]'
"""

# source: which entry of the study's warm_start the trial is from; rank: its place among all complete ones there, 0 the
# best; params: external values, under the names that they have in this study.
WARM_TRIALS = """
CREATE TABLE warm_trials (
    study_id bigint NOT NULL,
    source smallint NOT NULL,
    number integer NOT NULL,
    rank integer NOT NULL,
    params json NOT NULL,
    PRIMARY KEY (study_id, source, number)
)
"""


def upgrade() -> None:
    for statements in (STUDIES, WARM_TRIALS):
        op.execute(statements)
