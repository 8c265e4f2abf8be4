"""Studies that end by themselves."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STUDIES = """
ALTER TABLE studies ADD COLUMN stop_when json, ADD COLUMN stop_reason text
"""

# best: the best figure of a complete trial, infinite before the first; unimproved: how many trials in a row have been
# told since. In the row that every tell writes anyway; they are kept only where the study has a rule.
CLOCKS = """
ALTER TABLE study_clocks
    ADD COLUMN best float8 NOT NULL DEFAULT 'Infinity',
    ADD COLUMN unimproved integer NOT NULL DEFAULT 0
"""


def upgrade() -> None:
    for statements in (STUDIES, CLOCKS):
        op.execute(statements)
