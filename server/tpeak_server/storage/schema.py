"""The schema's version: bringing it up to date, and refusing one that this server does not know."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from tpeak_server.storage import incarnation
from tpeak_server.storage.database import sqlalchemy_url

MIGRATION_LOCK = 0x7470_6561_6B
"""Key of the advisory lock ("tpeak") that lets one of several migrating processes go first."""


class SchemaMismatch(Exception):
    """The database's schema is not the one that this version works with; the message says what to run."""


def migrate(database_url: str, revision: str = "head", *, restored: bool = False) -> None:
    """Brings the schema up to date; harmless where it is, and where several do it at once.

    `restored` says that the database came out of a backup, which begins a new incarnation. Raises SchemaMismatch where
    the schema is newer than this version, SQLAlchemy's errors where the database does not answer.
    """
    engine = create_engine(sqlalchemy_url(database_url), connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            if current(connection) not in {None, *revisions()}:
                raise SchemaMismatch(explain(current(connection)))
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if restored:
                incarnation.renew(connection)
    finally:
        engine.dispose()


@cache
def head() -> str:
    """The schema version that this server works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, "a wheel without migrations"
    return revision


def revisions() -> list[str]:
    """All schema versions that this server knows, the oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def check(database_url: str) -> None:
    """Raises SchemaMismatch where the database has another schema than this server's, SQLAlchemy's errors as `migrate`.

    One that has none yet may get it while the server waits.
    """
    engine = create_engine(sqlalchemy_url(database_url), connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            found = current(connection)
    finally:
        engine.dispose()
    if found not in {None, head()}:
        raise SchemaMismatch(explain(found))


def current(connection: Connection) -> str | None:
    """The schema version that the database has, None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def explain(found: str | None) -> str:
    """What is wrong with a schema that is not this server's, and what to do."""
    if found is None:
        return "the database has no tpeak schema yet; run `tpeak migrate`"
    if found in revisions():
        return f"the database has schema {found}, this server needs {head()}; run `tpeak migrate`"
    return f"the database has schema {found}, which this version does not know; install a newer tpeak"


def _config() -> Config:
    shipped = Path(__file__).parent.parent / "migrations"
    checkout = Path(__file__).parents[3] / "migrations"
    config = Config()
    config.set_main_option("script_location", str(shipped if shipped.is_dir() else checkout).replace("%", "%%"))
    return config
