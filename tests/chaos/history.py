"""What workers note down: every request before it is sent, and what came of it.

A history is a file of JSON Lines that only grows. `invoke` is on disk before its request leaves; `ok` is a reply of
2xx, `fail` a definite refusal (4xx), `unknown` no reply or a 5xx: the request may have been carried out, or may still
be, for ever. An invoke without a second line is unknown as well: its worker was killed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INVOKE, OK, FAIL, UNKNOWN = "invoke", "ok", "fail", "unknown"


@dataclass(slots=True, kw_only=True)
class Operation:
    """A request, and what came of it; `at` and `end` are seconds of the machine's clock.

    `call` is what the attempts of one call of a client have in common, None where each request stands for itself.
    """

    id: str
    worker: str
    method: str
    path: str
    body: Any
    at: float
    call: str | None = None
    end: float | None = None
    status: int | None = None
    reply: Any = None
    outcome: str = UNKNOWN

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.outcome == OK

    @property
    def parts(self) -> list[str]:
        """The path's parts: "studies", the study's id, and so on."""
        return self.path.partition("?")[0].strip("/").split("/")

    @property
    def study(self) -> str | None:
        """The id of the study that it is about, as paths have it."""
        parts = self.parts
        return parts[1] if parts[0] == "studies" and len(parts) > 1 else None

    @property
    def number(self) -> int | None:
        """The number of the trial that it is about."""
        parts = self.parts
        return int(parts[3]) if len(parts) > 3 and parts[2] == "trials" else None

    @property
    def kind(self) -> str:
        """ask, report, tell and so on: the path's last word, and get_trial, patch_study, enqueue where that is none."""
        parts = self.parts
        if len(parts) == 3 and parts[2] == "trials" and self.method == "POST":
            return "enqueue"
        if len(parts) in (2, 4):
            return f"{self.method.lower()}_{'trial' if len(parts) == 4 else 'study'}"
        return parts[-1]


def invocation(operation: Operation) -> dict[str, Any]:
    """The line that precedes the request."""
    line = {
        "type": INVOKE, "id": operation.id, "worker": operation.worker, "at": operation.at,
        "method": operation.method, "path": operation.path, "body": operation.body,
    }  # fmt: skip
    return line if operation.call is None else {**line, "call": operation.call}


def conclude(operation: Operation, status: int | None, reply: Any) -> dict[str, Any]:
    """Notes what came of it; the line that says so."""
    operation.end, operation.status, operation.reply = time.time(), status, reply
    if status is None or status >= 500:
        operation.outcome = UNKNOWN
    else:
        operation.outcome = OK if status < 300 else FAIL
    return {"type": operation.outcome, "id": operation.id, "at": operation.end, "status": status, "reply": reply}


class Recorder:
    """The history of a process that does one thing after the other."""

    def __init__(self, file: Path) -> None:
        self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, line: dict[str, Any]) -> None:
        """Appends the line; an invoke is on the disk when this returns.

        What came of a request needs no sync: where it is missing, the request counts as unknown.
        """
        os.write(self._handle, _encoded(line))
        if line["type"] == INVOKE:
            os.fdatasync(self._handle)


class GroupRecorder:
    """The history of many workers in one event loop: whose invokes come together wait for one sync together."""

    def __init__(self, file: Path) -> None:
        self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._syncing: asyncio.Task[None] | None = None

    async def invoke(self, operation: Operation) -> None:
        """Returns when the invoke is on the disk."""
        self._lines.append(_encoded(invocation(operation)))
        synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(synced)
        self._begin()
        await synced

    def conclude(self, operation: Operation, status: int | None, reply: Any) -> None:
        """Notes what came of it, with the next sync."""
        self._lines.append(_encoded(conclude(operation, status, reply)))

    async def flush(self) -> None:
        """Returns when everything is on the disk."""
        while self._syncing is not None:
            await self._syncing
        self._begin()
        if self._syncing is not None:
            await self._syncing

    def _begin(self) -> None:
        if self._syncing is None and self._lines:
            self._syncing = asyncio.create_task(self._sync())

    async def _sync(self) -> None:
        lines, self._lines = self._lines, []
        waiting, self._waiting = self._waiting, []
        await asyncio.to_thread(self._write, b"".join(lines))
        for synced in waiting:
            if not synced.done():
                synced.set_result(None)
        self._syncing = None
        if self._waiting:
            self._begin()

    def _write(self, content: bytes) -> None:
        os.write(self._handle, content)
        os.fdatasync(self._handle)


def read(folder: Path) -> list[Operation]:
    """All operations of all histories in the folder, in the order of their invocation."""
    operations: dict[str, Operation] = {}
    for file in sorted(folder.glob("history-*.jsonl")):
        for line in lines_of(file):
            _take(operations, line)
    return sorted(operations.values(), key=lambda operation: operation.at)


def lines_of(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file; a last line that a killed process left half written does not count."""
    with file.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _take(operations: dict[str, Operation], line: dict[str, Any]) -> None:
    if line["type"] == INVOKE:
        given = {name: line.get(name) for name in ("id", "worker", "method", "path", "body", "at", "call")}
        operations[line["id"]] = Operation(**given)
        return
    operation = operations[line["id"]]
    operation.outcome, operation.end = line["type"], line["at"]
    operation.status, operation.reply = line["status"], line["reply"]


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


_count = itertools.count()


def fresh_id() -> str:
    """An id that no other operation has: processes and their forks differ in their pid."""
    return f"{os.getpid()}-{next(_count)}"
