"""The embedded PostgreSQL, started, adopted and stopped for real."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import Postgres, embedded
from tpeak_server.supervisor.processes import command_of
from tpeak_server.supervisor.refusals import Refused


@pytest.fixture
def directory(data_dir):
    return DataDirectory(data_dir)


@pytest.fixture
def postgres(directory):
    account = postgres_account()
    account.admit(directory.path)
    postgres = Postgres(directory, account)
    yield postgres
    postgres.stop()


def count(postgres):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def test_it_keeps_what_was_stored_over_a_stop_and_a_start(postgres):
    postgres.start()
    assert count(postgres) == 1
    assert postgres.stop()
    assert postgres.postmaster() is None
    assert not postgres.stop()
    postgres.start()
    assert count(postgres) == 2


def test_a_running_one_is_adopted_and_stopped_by_whoever_adopted_it(postgres, directory):
    postgres.start()
    first = postgres.postmaster()
    with embedded(directory, postgres_account(), time.sleep) as adopted:
        assert adopted.postmaster() == first
        assert count(adopted) == 1
    assert command_of(first) == []


def test_after_its_postmaster_was_killed_the_next_start_works_at_once(postgres):
    postgres.start()
    count(postgres)
    killed = postgres.postmaster()
    os.kill(killed, signal.SIGKILL)
    postgres.start()
    assert postgres.postmaster() != killed
    assert count(postgres) == 2


def test_a_pid_file_with_another_processs_id_is_no_postmaster(postgres, directory):
    (postgres.pgdata / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.pgdata}\n0\n5432\n\n\n\nready\n")
    assert postgres.postmaster() is None
    postgres.start()
    assert count(postgres) == 1


@pytest.mark.parametrize("content", ["", "what\n", "99999999\n"])
def test_a_damaged_pid_file_does_not_keep_it_from_starting(postgres, content):
    (postgres.pgdata / "postmaster.pid").write_text(content)
    postgres.start()
    assert count(postgres) == 1


def test_only_its_user_reaches_it(postgres):
    postgres.start()
    (socket,) = postgres.pgdata.glob(".s.PGSQL.5432")
    assert socket.stat().st_mode & 0o777 == 0o700
    assert postgres.pgdata.stat().st_mode & 0o777 == 0o700


def test_it_sees_no_secret_of_the_environment(postgres, monkeypatch):
    monkeypatch.setenv("TPEAK_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("PGPORT", "1")
    postgres.start()
    with open(f"/proc/{postgres.postmaster()}/environ", "rb") as environment:
        names = {entry.partition(b"=")[0] for entry in environment.read().split(b"\0")}
    assert names <= {b"PATH", b"LD_LIBRARY_PATH", b"TMPDIR", b"TZ", b""}


@pytest.mark.parametrize("name", ["long-" * 25, "a b", "a,b", "ä'\"$x"])
def test_a_long_or_odd_path_gets_a_short_private_folder_for_its_socket(empty_directory, made_directory, name):
    directory = DataDirectory(empty_directory / name)
    empty_directory.chmod(0o711)
    subprocess.run(["cp", "-a", made_directory, directory.path], check=True)
    account = postgres_account()
    with directory.locked(account), embedded(directory, account, time.sleep) as postgres:
        assert count(postgres) == 1
        (folder,) = psycopg.connect(postgres.url).execute("SHOW unix_socket_directories").fetchone()
        assert folder.startswith("/tmp/tpeak-")
        assert os.stat(folder).st_mode & 0o777 == 0o700
    assert not os.path.exists(folder)


def test_an_initdb_that_was_killed_leaves_nothing_that_is_taken_for_a_database(empty_directory):
    directory, account = DataDirectory(empty_directory), postgres_account()
    with directory.locked(account):
        half = directory.path / ".postgres-half"
        half.mkdir()
        (half / "PG_VERSION").write_text("18\n")
        with embedded(directory, account, time.sleep) as postgres:
            assert count(postgres) == 1
        assert not half.exists()


def test_another_major_version_stays_as_it_is(directory):
    shutil.rmtree(directory.path / "postgres-18")
    (directory.path / "postgres-17").mkdir()
    with pytest.raises(Refused, match=r"postgres-17 holds a database of another PostgreSQL version.*brings 18"):
        Postgres(directory, postgres_account()).start()
    assert not (directory.path / "postgres-18").exists()


def test_one_that_cannot_start_says_what_its_log_says(postgres, monkeypatch):
    monkeypatch.setattr("tpeak_server.supervisor.postgres.START_S", 0.5)
    with (postgres.pgdata / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(Refused, match=r'(?s)does not start: .*unrecognized configuration parameter "no_such_setting"'):
        postgres.start()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root runs it under another account")
def test_as_root_it_runs_under_an_account_of_its_own_in_none_of_roots_groups(postgres):
    postgres.start()
    with open(f"/proc/{postgres.postmaster()}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    account = postgres_account()
    assert status["Uid"].split() == [str(account.uid)] * 4
    assert status["Gid"].split() == [str(account.gid)] * 4
    assert status["Groups"].split() == []
