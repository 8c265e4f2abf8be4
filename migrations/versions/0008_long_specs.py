"""Distributions whose spec is longer than a row of an index may be, as that of many choices is."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Of the spec the index has only a hash. No md5(): where OpenSSL keeps to FIPS, PostgreSQL refuses it. decode() because
# an index takes no convert_to(): with each backslash doubled it gives the text's own bytes.
DISTRIBUTIONS = r"""
ALTER TABLE distributions DROP CONSTRAINT distributions_study_id_name_spec_key;
CREATE UNIQUE INDEX distributions_by_spec
    ON distributions (study_id, name, sha256(decode(replace(spec, '\', '\\'), 'escape')))
"""


def upgrade() -> None:
    op.execute(DISTRIBUTIONS)
