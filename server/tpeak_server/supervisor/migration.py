"""`tpeak migrate`, and the migration that every start on the embedded PostgreSQL makes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from tpeak_server.config import Settings, masked
from tpeak_server.storage.schema import SchemaMismatch, check, head, migrate
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.interruption import Interruption
from tpeak_server.supervisor.postgres import embedded
from tpeak_server.supervisor.refusals import Refused

logger = logging.getLogger(__name__)


def migrate_by_hand(settings: Settings, say: Callable[[str], None]) -> int:
    """Migrates the given database, or the embedded one while no server runs on it; the exit code."""
    if settings.database_url is not None:
        migrate_database(settings.database_url, restored=settings.restored)
        say(f"{masked(settings.database_url)} has schema {head()}")
        return 0
    directory, account = DataDirectory(settings.data_dir), postgres_account()
    with Interruption() as interruption, directory.locked(account):
        with embedded(directory, account, interruption.pause) as postgres:
            migrate_database(postgres.url, restored=settings.restored)
        say(f"the database in {postgres.pgdata} has schema {head()}")
    return 0


def check_database(database_url: str) -> None:
    """Raises Refused where the database has a schema that this server does not know.

    One that does not answer is no reason to refuse: servers may be started before their PostgreSQL, and /readyz says
    how it is with the schema once it is there.
    """
    try:
        check(database_url)
    except SchemaMismatch as error:
        raise Refused(str(error)) from error
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip()
        logger.warning("the schema in %s cannot be looked at yet: %s", masked(database_url), cause)


def migrate_database(database_url: str, *, restored: bool = False) -> None:
    """Brings the schema up to date. Raises Refused where the database does not let it."""
    try:
        migrate(database_url, restored=restored)
    except SchemaMismatch as error:
        raise Refused(str(error)) from error
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip()
        raise Refused(
            f"the schema in {masked(database_url)} cannot be brought up to date: {cause}\n"
            "check that PostgreSQL runs there and that the user may create tables"
        ) from None
