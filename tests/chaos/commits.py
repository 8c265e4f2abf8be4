"""Finds COMMITs in what a client sends to PostgreSQL, so that a proxy can strike at that very moment."""

from __future__ import annotations

import struct


class CommitWatch:
    """The messages of one connection's client. A COMMIT is a simple query, or parsed, bound and executed."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._commits: set[bytes] = set()
        self._bound = False

    def feed(self, data: bytes) -> bool:
        """Whether a COMMIT ended in these bytes."""
        self._buffer += data
        found = False
        while (part := self._next()) is not None:
            found = self._take(*part) or found
        return found

    def _next(self) -> tuple[bytes, bytes] | None:
        """The next whole message: its kind, and what follows its length."""
        kind = 1 if self._started else 0
        if len(self._buffer) < kind + 4:
            return None
        (length,) = struct.unpack_from("!i", self._buffer, kind)
        if len(self._buffer) < kind + length:
            return None
        letter, payload = bytes(self._buffer[:kind]), bytes(self._buffer[kind + 4 : kind + length])
        del self._buffer[: kind + length]
        # The start has no letter; requests for encryption, which come before it, ask for one more.
        self._started = self._started or payload[:2] == b"\x00\x03"
        return letter, payload

    def _take(self, kind: bytes, payload: bytes) -> bool:
        if kind == b"Q":
            return _is_commit(payload.rstrip(b"\0"))
        if kind == b"P":
            name, query, _ = payload.split(b"\0", 2)
            (self._commits.add if _is_commit(query) else self._commits.discard)(name)
        elif kind == b"B":
            self._bound = payload.split(b"\0", 2)[1] in self._commits
        return kind == b"E" and self._bound


def _is_commit(query: bytes) -> bool:
    return query.strip(b" ;\n").upper() == b"COMMIT"
