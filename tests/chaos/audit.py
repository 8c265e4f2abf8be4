"""Triggers that keep what the tables overwrite: every change of a lease, and every tick of a reaper, with its moment.

They belong to the tests alone: the server does not know of them.
"""

from __future__ import annotations

import psycopg

AUDIT = """
CREATE TABLE chaos_leases (
    id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), study_id bigint NOT NULL,
    number integer NOT NULL, epoch integer NOT NULL, live boolean NOT NULL, was_live boolean, ended text,
    expires_at timestamptz NOT NULL, former_expires_at timestamptz, period float8 NOT NULL
);
CREATE FUNCTION chaos_note_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_leases (study_id, number, epoch, live, was_live, ended, expires_at, former_expires_at, period)
    SELECT NEW.study_id, NEW.number, NEW.epoch, NEW.live, CASE WHEN TG_OP = 'UPDATE' THEN OLD.live END, NEW.ended,
        NEW.expires_at, CASE WHEN TG_OP = 'UPDATE' THEN OLD.expires_at END, s.lease_seconds
    FROM studies s WHERE s.id = NEW.study_id;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_leases AFTER INSERT OR UPDATE ON leases FOR EACH ROW EXECUTE FUNCTION chaos_note_lease();
CREATE TABLE chaos_ticks (
    id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    before timestamptz NOT NULL, after timestamptz NOT NULL
);
CREATE FUNCTION chaos_note_tick() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_ticks (before, after) VALUES (OLD.reaper_tick, NEW.reaper_tick);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_ticks AFTER UPDATE OF reaper_tick ON meta FOR EACH ROW EXECUTE FUNCTION chaos_note_tick()
"""
# `expires_at` is the new expiry, `former_expires_at` the one before the change.


def install(database_url: str) -> None:
    """Begins to keep the records; the schema must be there."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(AUDIT)
