"""The rules of the data directory."""

import os
import socket
import threading

import pytest

from tpeak_server.supervisor import directory as rules
from tpeak_server.supervisor import mounts
from tpeak_server.supervisor.account import Account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.files import published
from tpeak_server.supervisor.refusals import AlreadyRunning, Refused

SELF = Account()


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path / "data")


def test_a_new_directory_is_its_users_alone(directory):
    with directory.locked(SELF):
        assert directory.path.stat().st_mode & 0o777 == 0o700


def test_its_permissions_are_narrowed_where_they_were_wider(directory):
    directory.path.mkdir(mode=0o755)
    with directory.locked(SELF):
        assert directory.path.stat().st_mode & 0o777 == 0o700


def test_only_one_holds_it_at_a_time(directory):
    record = {"url": "http://127.0.0.1:1", "pid": 77, "token_path": None, "version": "0.1.0"}
    told = r"runs already at http://127\.0\.0\.1:1 \(process 77\) .* `tpeak down`"
    first, second = directory.locked(SELF), directory.locked(SELF)
    with first, published(directory.server_file, record), pytest.raises(AlreadyRunning, match=told), second:
        pass
    with directory.locked(SELF):
        pass


def test_of_many_at_once_one_holds_it(directory):
    held, all_tried, refused = threading.Barrier(8, timeout=30), threading.Barrier(8, timeout=30), []

    def hold():
        held.wait()
        try:
            with directory.locked(SELF):
                all_tried.wait()
        except AlreadyRunning as error:
            refused.append(error)
            all_tried.wait()

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7


def test_what_another_process_is_just_writing_is_not_foreign(directory):
    directory.path.mkdir()
    (directory.path / ".host-k3j9x_2a").touch()
    with directory.locked(SELF):
        assert directory.host_file.exists()


def test_a_dead_servers_record_is_removed_with_the_lock_taken(directory):
    directory.path.mkdir()
    directory.server_file.write_text('{"url": "http://127.0.0.1:1"}')
    with directory.locked(SELF):
        assert not directory.server_file.exists()


def test_a_directory_of_another_host_is_refused_with_the_remedy(directory):
    with directory.locked(SELF):
        pass
    directory.host_file.write_text("elsewhere 0123456789abcdef0123456789abcdef\n")
    told = r"last used by another host \(elsewhere\).*delete .*/data/host"
    with pytest.raises(Refused, match=told), directory.locked(SELF):
        pass
    directory.host_file.unlink()
    with directory.locked(SELF):
        assert directory.host_file.read_text().startswith(socket.gethostname())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("laptop 11aa", "laptop.local 11aa", True),
        ("node 11aa", "node 22bb", False),
        ("node", "node 22bb", True),
        ("node1", "node2 22bb", False),
    ],
)
def test_a_host_is_known_by_its_machine_id_and_by_name_where_it_has_none(one, other, same):
    assert rules.same_host(one, other) is same


def test_a_network_file_system_is_refused_with_the_remedy(directory, tmp_path, monkeypatch):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text("30 1 0:27 / / rw shared:2 - nfs4 server:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNTINFO", mountinfo)
    with pytest.raises(Refused, match=r"network file system \(nfs4\).*--data-dir.*--database-url"):
        directory.prepare(SELF)
    assert not directory.path.exists()


def test_a_directory_with_other_things_is_left_as_it_is(directory):
    directory.path.mkdir(mode=0o755)
    (directory.path / "thesis.tex").touch()
    with pytest.raises(Refused, match=r"holds other things than tpeak's data \(thesis\.tex\)"):
        directory.prepare(SELF)
    assert directory.path.stat().st_mode & 0o777 == 0o755


def test_a_file_beside_tpeaks_own_does_no_harm(directory):
    with directory.locked(SELF):
        pass
    (directory.path / "backup.sql").touch()
    with directory.locked(SELF):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
def test_root_is_refused_a_directory_that_its_postgresql_may_not_enter(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(Refused, match=r"does not run as root, .*may not enter .*--data-dir /var/lib/tpeak"):
        DataDirectory(home / "data").prepare(Account(65534, 65534))
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_directory_is_refused(directory):
    directory.path.mkdir()
    os.chown(directory.path, 65534, 65534)
    with pytest.raises(Refused, match="belongs to another user"):
        directory.prepare(SELF)
