"""How fast the machine is at what bounds every figure here, so that figures of two machines can be compared."""

from __future__ import annotations

import time

import psycopg

ROWS = 1000


def commits_per_s(database_url: str) -> float:
    """Rows that one client inserts in a second, one INSERT and one durable COMMIT each."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS machine_speed (row integer)")
        began = time.perf_counter()
        for row in range(ROWS):
            connection.execute("INSERT INTO machine_speed VALUES (%s)", (row,), prepare=True)
        return ROWS / (time.perf_counter() - began)
