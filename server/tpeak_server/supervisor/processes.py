"""What other processes are, looked up by their id."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def command_of(pid: int) -> list[str]:
    """The command line of a live process; empty where there is none, or only a zombie is left of it."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return [] if Path("/proc/self/cmdline").exists() else _listed_command_of(pid)
    except OSError:
        return []
    return os.fsdecode(line).rstrip("\0").split("\0") if line else []


def _listed_command_of(pid: int) -> list[str]:
    """The same by `ps`, where there is no /proc. An argument with spaces falls into pieces."""
    try:
        listed = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True
        )
    except OSError:
        return []
    return listed.stdout.split()
