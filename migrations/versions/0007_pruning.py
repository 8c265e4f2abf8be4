"""What the settings "auto" of a study's pruning rule stand for, and trials that are exempt from it."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE studies ADD COLUMN pruner_auto json NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE trials ADD COLUMN exempt boolean NOT NULL DEFAULT false")
