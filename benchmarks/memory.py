"""The memory of the processes that serve, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

SERVES = b"tpeak_server.supervisor.serving"
"""In the command of a process that answers requests; its parent is the supervisor."""


def resident_mib(supervisor: int) -> float:
    """What the server processes below the supervisor occupy now."""
    return sum(_kib(pid, "VmRSS") for pid in _serving(supervisor)) / 1024


def peak_mib(supervisor: int) -> float:
    """The most that they have occupied."""
    return sum(_kib(pid, "VmHWM") for pid in _serving(supervisor)) / 1024


def _serving(supervisor: int) -> list[int]:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if SERVES in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _kib(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
