"""PostgreSQL's programs, where root's account may not enter what is installed."""

import importlib.util
import os
import shutil
import stat
import time
from importlib.machinery import ModuleSpec

import pytest

from tpeak_server.supervisor import programs
from tpeak_server.supervisor.account import Account, postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import embedded
from tpeak_server.supervisor.processes import command_of
from tpeak_server.supervisor.refusals import Refused


def installed_in(folder, monkeypatch):
    origin = str(folder / programs.PACKAGE / "__init__.py")
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda name: ModuleSpec(name, None, origin=origin))


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"pip install 'tpeak\[embedded\]'.*--database-url"):
        programs.programs(tmp_path, Account())


def test_programs_that_do_not_run_are_named(tmp_path, monkeypatch):
    installed_in(tmp_path / "site", monkeypatch)
    (tmp_path / "data").mkdir()
    with pytest.raises(Refused, match="PostgreSQL's programs run neither from"):
        programs.programs(tmp_path / "data", Account())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
def test_a_closed_installation_is_copied_and_stays_closed(empty_directory, monkeypatch):
    closed = empty_directory / "home"
    shutil.copytree(
        os.path.dirname(importlib.util.find_spec(programs.PACKAGE).origin),
        closed / programs.PACKAGE,
        ignore=shutil.ignore_patterns("pginstall", "include", "*.a", "psql", "pg_[!cihs]*"),
    )
    site = os.path.dirname(os.path.dirname(importlib.util.find_spec(programs.PACKAGE).origin))
    shutil.copytree(f"{site}/{programs.PACKAGE}.libs", closed / f"{programs.PACKAGE}.libs")
    closed.chmod(0o700)
    installed_in(closed, monkeypatch)
    empty_directory.chmod(0o711)
    directory, account = DataDirectory(empty_directory / "data"), postgres_account()
    with directory.locked(account), embedded(directory, account, time.sleep) as postgres:
        assert command_of(postgres.postmaster())[0].startswith(f"{directory.path}/programs-")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
