"""What commits in the stream of a PostgreSQL client."""

from __future__ import annotations

import struct

import pytest

from tests.chaos.commits import CommitWatch

START = struct.pack("!ii", 12, 3 << 16) + b"\0\0\0\0"
SSL = struct.pack("!ii", 8, 80877103)


def message(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(payload)) + payload


def parse(query: bytes, name: bytes = b"") -> bytes:
    return message(b"P", name + b"\0" + query + b"\0\0\0")


def run(name: bytes = b"") -> bytes:
    bind = b"\0" + name + b"\0" + b"\0\0" * 3
    return message(b"B", bind) + message(b"E", b"\0" + b"\0\0\0\0") + message(b"S", b"")


@pytest.mark.parametrize(
    ("sent", "commits"),
    [
        (message(b"Q", b"COMMIT\0"), True),
        (message(b"Q", b"SELECT 'COMMIT'\0"), False),
        (parse(b"COMMIT") + run(), True),
        (parse(b"commit;") + run(), True),
        (parse(b"COMMIT"), False),
        (parse(b"COMMIT", b"c") + parse(b"SELECT 1") + run(), False),
        (parse(b"COMMIT", b"c") + parse(b"SELECT 1") + run() + run(b"c"), True),
        (parse(b"COMMIT") + parse(b"SELECT 1") + run(), False),
        (parse(b"WITH a AS (UPDATE t SET x = 1) SELECT 1", b"w") + run(b"w"), True),
        (message(b"Q", b"BEGIN ISOLATION LEVEL READ COMMITTED\0") + parse(b"UPDATE t SET x = 1") + run(), False),
        (parse(b"BEGIN") + run() + parse(b"ROLLBACK") + run() + parse(b"INSERT INTO t VALUES (1)") + run(), True),
        (parse(b"SELECT x FROM t") + run(), False),
        (parse(b"SELECT x FROM t FOR NO KEY UPDATE") + run(), False),
    ],
)
def test_a_commit_is_what_is_carried_out(sent: bytes, commits: bool) -> None:
    assert CommitWatch().feed(SSL + START + sent) is commits


def test_a_commit_that_comes_in_pieces_ends_with_the_last_one() -> None:
    watch, sent = CommitWatch(), START + message(b"Q", b"COMMIT\0")

    assert [watch.feed(sent[at : at + 1]) for at in range(len(sent))] == [False] * (len(sent) - 1) + [True]
