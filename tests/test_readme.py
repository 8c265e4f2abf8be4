"""What the README shows runs as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FIRST_SCREEN = README[: README.index("## ")]


def test_the_first_two_commands_are_the_demo_and_the_tests() -> None:
    commands = re.findall(r"^make (\w+)", FIRST_SCREEN, re.M)

    assert commands == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo:", makefile, re.M)
    assert re.search(r"^test:", makefile, re.M)


def test_the_worker_of_ten_lines_runs_as_written(server: Any) -> None:
    (worker,) = re.findall(r"```python\n(.*?)```", FIRST_SCREEN, re.S)

    done = _run([sys.executable, "-c", worker], server)

    assert len([line for line in worker.splitlines() if line.strip()]) <= 10
    assert re.fullmatch(r"\{'x': -?[\d.e-]+\} [\d.e-]+\n", done.stdout)


def test_the_worker_is_the_one_among_the_examples() -> None:
    (worker,) = re.findall(r"```python\n(.*?)```", FIRST_SCREEN, re.S)

    assert (ROOT / "examples" / "worker.py").read_text().endswith(worker)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_calls_with_curl_run_as_written(server: Any, api: Any) -> None:
    (calls,) = re.findall(r"```sh\n(TPEAK_URL=.*?)```", README, re.S)

    done = _run(["sh", "-eu", "-c", calls], server)

    assert '"params":{"x":0.' in done.stdout
    assert '"prune":false' in done.stdout
    assert '"state":"complete","values":[0.25]' in done.stdout
    (study,) = api.get("/studies", params={"name": "curl"}).json()["studies"]
    assert study["counts"]["complete"] == 1


def test_the_backup_runs_as_written_and_twice(server: Any, api: Any, tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(tpeak export.*?)```", README, re.S)
    api.post("/studies", json={"request_id": "readme", "name": "first", "if_exists": "load"}).raise_for_status()
    tools = f"PATH={Path(sys.executable).parent}:$PATH; cd {tmp_path}\n"

    for _ in range(2):
        assert "study 'first again': " in _run(["sh", "-eu", "-c", tools + commands], server).stdout

    assert len(api.get("/studies", params={"name": "first again"}).json()["studies"]) == 1


def test_every_variable_of_the_table_is_read_somewhere() -> None:
    table = README[README.index("## Settings") : README.index("## Development")]
    sources = "".join(path.read_text() for folder in ("client", "server") for path in (ROOT / folder).rglob("*.py"))

    named = set(re.findall(r"TPEAK_\w+", table))

    assert len(named) == 11
    assert {name for name in named if f'"{name}"' not in sources} == set()


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def _run(command: list[str], server: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**os.environ, "TPEAK_URL": server.url, "TPEAK_TOKEN": server.token},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done
