"""`tpeak demo`, for real: its own server, its own PostgreSQL, four worker processes and scikit-learn."""

from __future__ import annotations

import os
import re
import subprocess
import sys


def test_the_demo_tunes_prunes_shows_progress_and_ends_with_zero() -> None:
    demo = _run("demo", "--trials", "24")

    assert demo.returncode == 0, demo.stderr
    assert re.search(r"server    http://127\.0\.0\.1:\d+", demo.stdout)
    assert re.search(
        r"running \d+  complete \d+  pruned \d+   best \S+   \d+\.\d trials/s   about \d+ s left", demo.stdout
    )
    complete, pruned = re.search(r"(\d+) trials complete, (\d+) pruned, 0 failed", demo.stdout).groups()
    assert int(complete) + int(pruned) == 24
    assert re.search(r"best accuracy 0\.9\d+ \(trial \d+\) with\n    layers +[12]\n    width +\d+", demo.stdout)


def test_the_demo_says_what_to_install_where_something_is_missing() -> None:
    hidden = "import sys; sys.modules['sklearn'] = None; from tpeak.cli import main; sys.exit(main(['demo']))"

    demo = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)

    assert demo.returncode == 1
    assert "pip install 'tpeak[demo]'" in demo.stderr


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}
    return subprocess.run(
        [sys.executable, "-m", "tpeak.cli", *arguments],
        capture_output=True, text=True, check=False, env=environment, timeout=120,
    )  # fmt: skip
