"""`tpeak demo`, for real: its own server, its own PostgreSQL, four worker processes and scikit-learn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for temporary files that the account PostgreSQL runs under can enter."""
    with tempfile.TemporaryDirectory(prefix="tpeak-test-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_the_demo_tunes_prunes_shows_progress_and_ends_with_zero(folder: Path) -> None:
    demo = _run("demo", "--trials", "24", folder=folder)

    assert demo.returncode == 0, demo.stderr
    assert re.search(
        r"running \d+  complete \d+  pruned \d+   best \S+   \d+\.\d trials/s   about \d+ s left", demo.stdout
    )
    complete, pruned = re.search(r"(\d+) trials complete, (\d+) pruned, 0 failed", demo.stdout).groups()
    assert int(complete) + int(pruned) == 24
    assert re.search(r"best accuracy 0\.9\d+ \(trial \d+\) with\n    layers +[12]\n    width +\d+", demo.stdout)
    assert demo.stdout.endswith(f"server    {_url(demo.stdout)} is stopped now\n")
    _assert_gone(demo.stdout, folder)


def test_the_demo_uses_its_own_server_whatever_the_user_has_set(folder: Path) -> None:
    demo = _run("demo", "--trials", "4", folder=folder, TPEAK_URL="http://127.0.0.1:9", TPEAK_TOKEN="another")

    assert demo.returncode == 0, demo.stderr
    assert "4 trials complete, 0 pruned, 0 failed" in demo.stdout


def test_a_kept_server_answers_until_it_is_stopped_as_the_demo_says(folder: Path) -> None:
    demo = _run("demo", "--trials", "4", "--keep", folder=folder)
    data = re.search(r"stop it with `tpeak down --data-dir (\S+)`", demo.stdout)[1]
    kept = httpx.get(f"{_url(demo.stdout)}/healthz").status_code

    down = _run("down", "--data-dir", data, folder=folder)

    assert demo.returncode == 0, demo.stderr
    assert kept == 200
    assert down.returncode == 0, down.stderr
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{_url(demo.stdout)}/healthz")


def test_an_interrupted_demo_leaves_nothing_behind(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tpeak.cli", "demo"],
        stdout=subprocess.PIPE, text=True, env=_environment(folder), start_new_session=True,
    ) as demo:  # fmt: skip
        said = ""
        while "trials/s" not in said:
            line = demo.stdout.readline()
            assert line, "the demo ended before it was interrupted"
            said += line
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal sends it: to the workers too
        code = demo.wait(60)

    assert code == 130
    _assert_gone(said, folder)


def test_a_worker_starts_without_a_warning() -> None:
    worker = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tpeak.cli.demo_worker", "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert worker.returncode == 0, worker.stderr
    assert worker.stderr == ""


def test_the_demo_says_what_to_install_where_something_is_missing() -> None:
    hidden = "import sys; sys.modules['sklearn'] = None; from tpeak.cli import main; sys.exit(main(['demo']))"

    demo = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)

    assert demo.returncode == 1
    assert "pip install 'tpeak[demo]'" in demo.stderr


def test_a_budget_of_no_trials_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    demo = _run("demo", "--trials", "0", folder=tmp_path)

    assert demo.returncode == 2
    assert demo.stderr.endswith("argument --trials: it takes at least one, got '0'\n")


def _run(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tpeak.cli", *arguments],
        capture_output=True, text=True, check=False, env=_environment(folder) | variables, timeout=120,
    )  # fmt: skip


def _environment(folder: Path) -> dict[str, str]:
    """This process's, without settings of tpeak's; temporary files go where they can be counted."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}
    return {**clean, "TMPDIR": str(folder)}


def _url(said: str) -> str:
    return re.search(r"server    (http://127\.0\.0\.1:\d+)", said)[1]


def _assert_gone(said: str, folder: Path) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{_url(said)}/healthz")
    assert list(folder.iterdir()) == []
