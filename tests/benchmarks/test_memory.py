"""The memory of a server's processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memory import peak_mib, resident_mib


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone says it there")
def test_only_children_that_serve_count() -> None:
    hold = "import sys; held = bytearray(30 << 20); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold]
    with (
        subprocess.Popen([*command, "tpeak_server.supervisor.serving"], stdin=-1, stdout=-1) as serves,
        subprocess.Popen(command, stdin=-1, stdout=-1) as other,
    ):
        for process in (serves, other):
            assert process.stdout is not None
            process.stdout.readline()
        assert 30.0 < resident_mib(os.getpid()) < 60.0
        assert resident_mib(os.getpid()) <= peak_mib(os.getpid()) < 60.0
        for process in (serves, other):
            process.communicate()
