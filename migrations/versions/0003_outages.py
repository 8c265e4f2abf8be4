"""Times without a reaper, which excuse the leases that nobody could renew."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OUTAGES = """
CREATE TABLE outages (
    ended timestamptz PRIMARY KEY,
    began timestamptz NOT NULL
)
"""


def upgrade() -> None:
    op.execute(OUTAGES)
