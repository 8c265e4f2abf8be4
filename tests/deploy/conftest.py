"""The wheel, built once, and environments to install it into."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("tpeak-*.whl")
    return built


class Environment:
    """A virtual environment with nothing but pip in it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")

    def install(self, *requirements: str) -> None:
        """Installs with the versions of requirements.lock."""
        pip = [str(self.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--constraint", str(ROOT / "requirements.lock"), *requirements)

    def python(self, code: str) -> str:
        """What the code prints in this environment, away from the checkout."""
        return run(str(self.bin / "python"), "-I", "-c", code)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A clean environment for the module."""
    return Environment(tmp_path_factory.mktemp("environment"))


def run(*command: str) -> str:
    """What the command prints. Fails with its messages where it does."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TPEAK_", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
