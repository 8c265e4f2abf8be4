"""The chaos stage in its short form: invariants alone, no bars for times, on whatever machine this is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_doubled_while_everything_breaks() -> None:
    command = [sys.executable, "-m", "tests.chaos.stage", "--short"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
