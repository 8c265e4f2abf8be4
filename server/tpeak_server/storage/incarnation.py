"""Which life of the database this is: a restore from a backup begins another (docs/adr/0009)."""

from __future__ import annotations

from sqlalchemy import Connection, text

from tpeak_server.storage.database import Database, Driver

# An ordinary role may call all of them, unless the installation has taken that away.
MAY_CALL = """
SELECT has_function_privilege('pg_control_system()', 'execute'),
    has_function_privilege('pg_current_wal_lsn()', 'execute') AND
    has_function_privilege('pg_walfile_name(pg_lsn)', 'execute')
"""
SYSTEM = "(SELECT system_identifier::text FROM pg_control_system())"
# The control file names the timeline of the last checkpoint, which a promotion does not wait for; a WAL file's name
# begins with the one that is written now.
TIMELINE = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
DATABASE = "(SELECT oid::text FROM pg_database WHERE datname = current_database())"
UNKNOWN = "'-'"

# A standby has no timeline of its own, and nothing can be written there: what it has is what its primary gave out.
LOOK = """
SELECT incarnation::text,
    CASE WHEN pg_is_in_recovery() THEN true ELSE identity IS NOT DISTINCT FROM {identity} END FROM meta
"""
# Of two servers that find another identity, the second waits for the first one's row and then has nothing to change.
RENEW = """
UPDATE meta SET identity = {identity}, incarnation = gen_random_uuid() WHERE identity IS DISTINCT FROM {identity}
"""
AFTER_RESTORE = "UPDATE meta SET incarnation = gen_random_uuid()"


async def incarnation(database: Database) -> str:
    """The incarnation, a new one where the database's identity is another than stored."""
    async with database.reading() as connection:
        identity = await _identity(connection)
        found, as_stored = await _look(connection, identity)
    if as_stored:
        return found

    async def renewed(writer: Driver) -> str:
        await writer.execute(RENEW.format(identity=identity))
        return (await _look(writer, identity))[0]

    return await database.transaction(renewed)


def renew(connection: Connection) -> None:
    """Begins a new incarnation whatever the identity: for a restore that leaves it as it was."""
    connection.execute(text(AFTER_RESTORE))


async def _identity(connection: Driver) -> str:
    """The expression for the identity, out of what this role may call."""
    row = await (await connection.execute(MAY_CALL)).fetchone()
    assert row is not None, "a statement that always gives one row"
    parts = SYSTEM if row[0] else UNKNOWN, TIMELINE if row[1] else UNKNOWN, DATABASE
    return "concat_ws('/', " + ", ".join(parts) + ")"


async def _look(connection: Driver, identity: str) -> tuple[str, bool]:
    row = await (await connection.execute(LOOK.format(identity=identity))).fetchone()
    assert row is not None, "the first migration makes the one row"
    return row[0], row[1]
