"""Dockerfile and docker-compose.yml, as far as they can be judged without an engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_there_are_a_database_a_migration_a_server_and_a_worker(services: dict[str, Any]) -> None:
    assert list(services) == ["postgres", "migrate", "server", "worker"]


def test_the_database_is_checked_and_keeps_its_data_in_a_volume(services: dict[str, Any]) -> None:
    assert services["postgres"]["healthcheck"]["test"] == [
        "CMD-SHELL",
        "pg_isready --username tpeak --dbname tpeak",
    ]
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_the_migration_runs_once_between_database_and_server(services: dict[str, Any]) -> None:
    assert services["migrate"]["command"] == ["migrate"]
    assert "restart" not in services["migrate"]
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["server"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["worker"]["depends_on"] == {"server": {"condition": "service_healthy"}}


def test_secrets_come_from_the_environment_and_have_no_default(services: dict[str, Any]) -> None:
    secrets = {
        services["server"]["environment"]["TPEAK_TOKEN"],
        services["worker"]["environment"]["TPEAK_TOKEN"],
        services["postgres"]["environment"]["POSTGRES_PASSWORD"],
    }

    assert secrets == {
        "${TPEAK_TOKEN:?set it in .env, see .env.example}",
        "${POSTGRES_PASSWORD:?set it in .env, see .env.example}",
    }
    assert ":-" not in (ROOT / "docker-compose.yml").read_text()
    assert re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.M) == [
        ("TPEAK_TOKEN", ""),
        ("POSTGRES_PASSWORD", ""),
    ]


def test_the_server_is_published_on_loopback_alone(services: dict[str, Any]) -> None:
    assert services["server"]["ports"] == ["127.0.0.1:8765:8765"]
    assert "ports" not in services["postgres"]


def test_one_service_builds_the_image_and_the_others_take_it(services: dict[str, Any]) -> None:
    own = {name: service for name, service in services.items() if name != "postgres"}

    assert {name: service["image"] for name, service in own.items()} == dict.fromkeys(own, "tpeak")
    assert [name for name, service in own.items() if "build" in service] == ["migrate"]
    assert {name for name, service in own.items() if service.get("pull_policy") == "never"} == {"server", "worker"}


def test_the_worker_can_be_scaled(services: dict[str, Any]) -> None:
    assert "container_name" not in services["worker"]
    assert services["worker"]["environment"]["TPEAK_URL"] == "http://server:8765"
    assert services["worker"]["environment"]["TPEAK_ALLOW_HTTP"] == "1"


def test_the_image_is_built_in_one_stage_and_installed_in_another(instructions: list[tuple[str, str]]) -> None:
    stages = [argument for name, argument in instructions if name == "FROM"]

    assert stages == ["python:3.13-slim AS build", "python:3.13-slim"]


def test_the_image_runs_as_a_user_that_is_not_root(instructions: list[tuple[str, str]]) -> None:
    last = [name for name, _ in instructions].index("USER")

    assert instructions[last] == ("USER", "10001")
    assert "RUN" not in [name for name, _ in instructions[last:]]


def test_the_image_checks_its_health_and_starts_the_server(instructions: list[tuple[str, str]]) -> None:
    by_name = dict(instructions)

    assert "http://127.0.0.1:8765/healthz" in by_name["HEALTHCHECK"]
    assert by_name["ENTRYPOINT"] == '["tpeak"]'
    assert by_name["CMD"] == '["server", "--host", "0.0.0.0"]'


def test_the_workflow_brings_up_four_workers_within_a_bound() -> None:
    commands = _workflow_commands()
    (up,) = [line for line in commands.splitlines() if "docker compose up" in line]

    assert up == "timeout 600 docker compose up --build --detach --scale worker=4"
    assert "timeout 240 docker wait $workers" in commands
    # It would end the server together with the first worker.
    assert "--exit-code-from" not in commands


@pytest.mark.parametrize(
    ("counts", "passes"),
    [
        ({"complete": 60, "pruned": 40, "failed": 0, "running": 0}, True),
        ({"complete": 60, "pruned": 39, "failed": 1, "running": 0}, False),
        ({"complete": 60, "pruned": 40, "failed": 0, "running": 1}, False),
    ],
)
def test_the_workflow_counts_every_trial_once(counts: dict[str, int], passes: bool) -> None:
    (check,) = re.findall(r"python3 -c '\n(.*?)'\n", _workflow_commands(), re.S)

    done = subprocess.run(
        [sys.executable, "-c", check], input=json.dumps({"studies": [{"counts": counts}]}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode == 0) is passes, done.stderr


def test_the_worker_makes_as_many_trials_as_the_workflow_counts(services: dict[str, Any]) -> None:
    assert services["worker"]["command"] == ["--create", "--trials", "100"]
    assert "== 100, counts" in _workflow_commands()


def _workflow_commands() -> str:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "compose.yml").read_text())
    return "\n".join(step["run"] for step in workflow["jobs"]["up"]["steps"] if "run" in step)


def test_what_is_copied_exists_and_is_not_ignored(instructions: list[tuple[str, str]]) -> None:
    copied = [source for name, argument in instructions if name == "COPY" for source in argument.split()[:-1]]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert all((ROOT / source).exists() for source in copied)
    assert set(copied) == kept
