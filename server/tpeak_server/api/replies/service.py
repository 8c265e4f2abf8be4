"""The service itself, and its workers, on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import time
from tpeak_server.service.application import Worker


class WorkerReply(TypedDict):
    """A worker as it registered."""

    id: str
    host: str
    pid: int
    client_version: str
    python: str | None
    job: dict[str, Any] | None
    git_commit: str | None
    git_dirty: bool | None
    registered_at: str | None
    last_seen: str | None
    fast_failures: int
    paused_s: float | None
    cause: str | None


class WorkersReply(TypedDict):
    """All workers."""

    workers: list[WorkerReply]


class MetaReply(TypedDict):
    """What this server is."""

    version: str
    features: list[str]
    schema: str
    incarnation: str


class StatusReply(TypedDict):
    """That all is well."""

    status: str


def workers(found: Iterable[Worker]) -> WorkersReply:
    return WorkersReply(workers=[_worker(worker) for worker in found])


def _worker(worker: Worker) -> WorkerReply:
    return WorkerReply(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        client_version=worker.client_version,
        python=worker.python,
        job=None if worker.job is None else dict(worker.job),
        git_commit=worker.git_commit,
        git_dirty=worker.git_dirty,
        registered_at=time(worker.registered_at),
        last_seen=time(worker.last_seen),
        fast_failures=worker.fast_failures,
        paused_s=worker.paused_s,
        cause=worker.cause,
    )
