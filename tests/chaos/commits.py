"""Finds what commits in what a client sends to PostgreSQL, so that a proxy can strike at that very moment."""

from __future__ import annotations

import re
import struct

WRITES = re.compile(rb"\b(INSERT|DELETE)\b|(?<!FOR )(?<!KEY )\bUPDATE\b", re.IGNORECASE)
"""But for the locks that a SELECT takes FOR [NO KEY] UPDATE."""


class CommitWatch:
    """The messages of one connection's client: simple queries, and what is parsed, bound and executed.

    A COMMIT commits, and so does a statement that writes outside of a transaction.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._within = False
        """Whether a transaction is under way."""
        self._parsed: dict[bytes, bytes] = {}
        """The queries, by the names of their statements."""
        self._bound = b""

    def feed(self, data: bytes) -> bool:
        """Whether what commits ended in these bytes."""
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
            return self._executed(payload.rstrip(b"\0"))
        if kind == b"P":
            name, query, _ = payload.split(b"\0", 2)
            self._parsed[name] = query
        elif kind == b"B":
            self._bound = self._parsed.get(payload.split(b"\0", 2)[1], b"")
        return kind == b"E" and self._executed(self._bound)

    def _executed(self, query: bytes) -> bool:
        """Whether that commits."""
        verb = query.strip(b" ;\n").upper()
        if verb.startswith((b"BEGIN", b"COMMIT", b"ROLLBACK")) and not verb.startswith(b"ROLLBACK TO"):
            self._within = verb.startswith(b"BEGIN")
            return verb == b"COMMIT"
        return not self._within and WRITES.search(query) is not None
