import os
import re
import socket

from tpeak import __version__
from tpeak.worker import Worker, git_commit

COMMIT = "4f88e75c0ffee4f88e75c0ffee4f88e75c0ffee0"


def test_a_worker_is_known_by_host_process_and_chance():
    worker = Worker()
    assert re.fullmatch(rf"{re.escape(socket.gethostname()[:100])}-{os.getpid()}-[0-9a-f]{{4}}", worker.id)
    assert worker.id == worker.id


def test_a_worker_registers_once(client, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worker = Worker({"SLURM_JOB_ID": "77"})
    worker.register(client)
    worker.register(client)
    (body,) = server.bodies("/workers")
    assert body["id"] == worker.id
    assert body["pid"] == os.getpid()
    assert body["client_version"] == __version__
    assert body["job"] == {"SLURM_JOB_ID": "77"}


def test_a_forked_child_is_another_worker():
    worker = Worker()
    before = worker.id
    pid = os.fork()
    if pid == 0:
        os._exit(0 if worker.id != before and not worker._registered else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_commit_is_read_from_a_folder_above(tmp_path):
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs/heads/main").write_text(f"{COMMIT}\n")
    (tmp_path / "src").mkdir()
    assert git_commit(tmp_path / "src") == COMMIT


def test_the_commit_is_found_among_packed_refs_and_at_a_detached_head(tmp_path):
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert git_commit(tmp_path) == COMMIT
    (git / "HEAD").write_text(f"{COMMIT}\n")
    assert git_commit(tmp_path) == COMMIT


def test_no_commit_is_made_up(tmp_path):
    assert git_commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert git_commit(tmp_path) is None
