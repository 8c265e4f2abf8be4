"""Client and server share no module, and still look for the local server in the same place, by the same rules."""

import os
from pathlib import Path

import platformdirs
import pytest

from tpeak import local, places
from tpeak_server import __main__ as server
from tpeak_server import config
from tpeak_server.supervisor import mounts
from tpeak_server.supervisor.directory import DataDirectory


@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"XDG_DATA_HOME": "/elsewhere/share"},
        {"XDG_DATA_HOME": ""},
        {"TPEAK_DATA_DIR": "/data/of/mine"},
        {"TPEAK_DATA_DIR": "relative/data"},
        {"TPEAK_DATA_DIR": "~/data"},
        {"TPEAK_DATA_DIR": ""},
    ],
)
def test_both_look_into_the_same_data_directory(monkeypatch, user, environment):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert places.data_directory(environment) == config.read({}, environment).data_dir


def test_a_users_directory_is_where_the_system_keeps_such_things(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("XDG_DATA_HOME", "TPEAK_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert places.data_directory(os.environ) == Path(platformdirs.user_data_dir("tpeak", appauthor=False))


def test_both_know_the_same_network_file_systems():
    assert places.NETWORK_TYPES == mounts.NETWORK_TYPES


def test_both_call_the_files_alike(tmp_path):
    directory = DataDirectory(tmp_path)
    assert (directory.lock_file.name, directory.server_file.name) == ("lock", "server.json")
    assert local.RUNS_ALREADY == server.RUNS_ALREADY
