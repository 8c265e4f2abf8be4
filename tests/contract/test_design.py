"""The Python of the design's section 8 runs as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"


def test_the_worker_of_the_design_runs_as_written(server: Any, api: Any) -> None:
    section = DESIGN.read_text().partition("## 8. Client")[2]
    (worker,) = re.findall(r"```python\n(.*?)```", section, re.S)

    # The three dots of the objective stand for the training, which gives the accuracy.
    done = subprocess.run(
        [sys.executable, "-c", "accuracy = 0.5\n" + worker], capture_output=True, text=True, check=False,
        env={**os.environ, "TPEAK_URL": server.url, "TPEAK_TOKEN": server.token},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (study,) = api.get("/studies", params={"name": "digits"}).json()["studies"]
    assert study["directions"] == ["maximize"]
    assert study["counts"] == {"waiting": 0, "running": 0, "complete": 100, "pruned": 0, "failed": 0, "lost": 0}
