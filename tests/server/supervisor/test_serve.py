"""`tpeak server` and `tpeak down`, as processes on a real PostgreSQL."""

import http.client
import json
import os
import signal
import socket
import stat
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.storage.schema import migrate, revisions
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import Postgres
from tpeak_server.supervisor.processes import command_of


def status(url, path="/healthz", token=None):
    """The status that the server answers with, 0 where none answers."""
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


def children_of(pid):
    """The server processes that the supervisor has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if "tpeak_server.supervisor.serving" in command_of(int(child))]


def postmaster(data_dir):
    return Postgres(DataDirectory(data_dir), postgres_account()).postmaster()


def bearer(data_dir):
    return {"Authorization": f"Bearer {(data_dir / 'token').read_text().strip()}"}


def waits_for_a_lock(data_dir):
    with psycopg.connect(Postgres(DataDirectory(data_dir), postgres_account()).url) as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return connection.execute(waiting).fetchone() != (0,)


def record(data_dir):
    return json.loads((data_dir / "server.json").read_text())


def test_it_starts_from_nothing_says_where_it_is_and_leaves_nothing_running(command, serve, empty_directory):
    server = serve("--data-dir", empty_directory)
    token = (empty_directory / "token").read_text().strip()
    assert server.said == (
        "tpeak 0.1.0 is ready\n\n"
        f"  url       {server.url}\n"
        f"  token     in {empty_directory}/token\n"
        f"  database  PostgreSQL 18 in {empty_directory}/postgres-18\n"
        "  stop      Ctrl-C here, or `tpeak down`\n\n"
    )
    assert record(empty_directory) == {
        "url": server.url, "pid": server.process.pid, "token_path": f"{empty_directory}/token", "version": "0.1.0",
    }  # fmt: skip
    assert status(server.url, "/api/v1/meta", token) == 200
    assert status(server.url, "/api/v1/meta", "another-token-of-nobody") == 401

    processes = [*children_of(server.process.pid), postmaster(empty_directory)]
    assert len(processes) == 2
    server.process.terminate()
    assert server.ended() == 0
    assert [command_of(pid) for pid in processes] == [[], []]
    assert not (empty_directory / "server.json").exists()
    assert status(server.url) == 0


def test_no_secret_is_on_a_command_line_or_in_what_it_says(serve, data_dir):
    secret = "0123456789abcdef-secret"
    server = serve("--data-dir", data_dir, TPEAK_TOKEN=secret)
    pids = [server.process.pid, *children_of(server.process.pid), postmaster(data_dir)]
    assert all(secret not in " ".join(command_of(pid)) for pid in pids)
    assert secret not in server.said
    assert record(data_dir)["token_path"] is None
    assert status(server.url, "/api/v1/meta", secret) == 200


def test_a_second_server_on_the_directory_is_told_of_the_first(command, serve, data_dir):
    first = serve("--data-dir", data_dir)
    second = command("serve", "--data-dir", data_dir)
    assert second.ended() == 3
    assert second.said == (
        f"tpeak: a tpeak server runs already at {first.url} (process {first.process.pid}) on {data_dir}; "
        "`tpeak down` stops it\n"
    )


def test_a_connect_file_is_there_for_workers_while_the_server_is(serve, data_dir, tmp_path):
    file = tmp_path / "connect.json"
    server = serve("--data-dir", data_dir, "--connect-file", file)
    assert json.loads(file.read_text()) == {"url": server.url, "token": (data_dir / "token").read_text().strip()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    server.process.send_signal(signal.SIGINT)
    assert server.ended() == 0
    assert not file.exists()


def test_a_killed_server_process_is_replaced(serve, data_dir, eventually):
    server = serve("--data-dir", data_dir, "--processes", "2")
    both = set(children_of(server.process.pid))
    assert len(both) == 2
    killed = both.pop()
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(set(children_of(server.process.pid)) - {killed}) == 2)
    eventually(lambda: status(server.url) == 200)
    assert "a server process ended (signal 9)" in server.said


def test_a_killed_postgresql_is_started_again(serve, data_dir, eventually):
    server = serve("--data-dir", data_dir)
    killed = postmaster(data_dir)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: postmaster(data_dir) not in {None, killed})
    eventually(lambda: status(server.url, "/readyz") == 200)


def test_after_the_parent_was_killed_its_child_leaves_and_the_next_start_adopts_postgresql(serve, data_dir, eventually):
    first = serve("--data-dir", data_dir)
    (child,), adopted = children_of(first.process.pid), postmaster(data_dir)
    first.process.kill()
    first.process.wait()
    port = first.url.rpartition(":")[2]
    second = serve("--data-dir", data_dir, "--port", port)
    assert second.url == first.url
    assert record(data_dir)["pid"] == second.process.pid
    assert postmaster(data_dir) == adopted
    eventually(lambda: command_of(child) == [])


def test_after_everything_was_killed_at_once_the_next_start_works(serve, data_dir, eventually):
    first = serve("--data-dir", data_dir)
    pids = [first.process.pid, *children_of(first.process.pid), postmaster(data_dir)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    first.process.wait()
    second = serve("--data-dir", data_dir)
    assert status(second.url, "/readyz") == 200


def test_told_to_stop_it_is_not_ready_answers_what_is_under_way_and_ends_well(serve, data_dir, eventually):
    server = serve("--data-dir", data_dir)
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=bearer(data_dir), timeout=30) as api:
        study = api.post("/studies", json={"request_id": "1", "name": "drained"}).json()["study"]["id"]
        with psycopg.connect(Postgres(DataDirectory(data_dir), postgres_account()).url) as locker:
            locker.execute("SELECT FROM study_clocks FOR UPDATE")
            with ThreadPoolExecutor(1) as thread:
                asked = thread.submit(api.post, f"/studies/{study}/ask", json={"request_id": "2", "worker": "w"})
                eventually(lambda: waits_for_a_lock(data_dir))
                server.process.terminate()
                eventually(lambda: status(server.url, "/readyz") == 503)
                assert status(server.url) == 200
                assert status(server.url, "/api/v1/meta", bearer(data_dir)["Authorization"].split()[1]) == 503
                locker.rollback()
                assert [trial["number"] for trial in asked.result(30).json()["trials"]] == [0]
    assert server.ended() == 0
    assert status(server.url) == 0


def test_a_request_that_never_ends_does_not_keep_a_server_that_is_told_twice(serve, data_dir, eventually):
    server = serve("--data-dir", data_dir)
    (child,) = children_of(server.process.pid)
    with socket.create_connection(server.url.removeprefix("http://").split(":")) as endless:
        token = bearer(data_dir)["Authorization"]
        endless.sendall(
            f"POST /api/v1/studies HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        os.kill(child, signal.SIGTERM)
        eventually(lambda: status(server.url, "/readyz") == 503)
        os.kill(child, signal.SIGTERM)
        eventually(lambda: command_of(child) == [])


def test_an_idle_server_leaves_and_health_checks_do_not_keep_it(serve, data_dir, eventually):
    server = serve("--data-dir", data_dir, "--idle-timeout", "0.8", "--processes", "2")
    eventually(lambda: status(server.url) != 200)
    assert server.ended() == 0
    assert postmaster(data_dir) is None
    assert not (data_dir / "server.json").exists()


def test_a_port_in_use_is_a_clear_error_before_anything_is_started(command, data_dir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = command("serve", "--data-dir", data_dir, "--port", port)
        assert server.ended() == 1
    assert server.said == (
        f"tpeak: port {port} on 127.0.0.1 is in use; choose another one with --port, or 0 for any free one\n"
    )
    assert postmaster(data_dir) is None


def test_without_a_token_it_does_not_serve_where_others_reach_it(command, empty_directory):
    server = command("serve", "--host", "0.0.0.0", "--data-dir", empty_directory)
    assert server.ended() == 1
    assert server.said.startswith(
        "tpeak: serving on 0.0.0.0, where others can reach it, needs a token; set TPEAK_TOKEN"
    )


def test_a_wrong_setting_is_a_usage_error(command):
    server = command("serve", TPEAK_PORT="many")
    assert server.ended() == 2
    assert server.said == "tpeak: TPEAK_PORT must be a whole number from 0 to 65535, got 'many'\n"


def test_down_stops_the_server_and_its_postgresql(command, serve, data_dir):
    server = serve("--data-dir", data_dir)
    down = command("down", "--data-dir", data_dir)
    assert (down.ended(), down.said) == (0, f"stopped what ran on {data_dir}\n")
    assert server.ended() == 0
    assert postmaster(data_dir) is None


def test_down_stops_a_postgresql_that_was_left_alone(command, serve, data_dir):
    server = serve("--data-dir", data_dir)
    server.process.kill()
    server.process.wait()
    assert postmaster(data_dir) is not None
    down = command("down", "--data-dir", data_dir)
    assert (down.ended(), down.said) == (0, f"stopped what ran on {data_dir}\n")
    assert postmaster(data_dir) is None


def test_down_says_so_where_nothing_runs(command, data_dir, tmp_path):
    for directory in (data_dir, tmp_path / "never-made"):
        down = command("down", "--data-dir", directory)
        assert (down.ended(), down.said) == (0, f"nothing runs on {directory}\n")
    assert not (tmp_path / "never-made").exists()


def test_down_spares_a_process_that_only_has_a_dead_servers_id(command, data_dir):
    content = {"url": "http://127.0.0.1:1", "pid": os.getpid(), "token_path": None, "version": "0.1.0"}
    (data_dir / "server.json").write_text(json.dumps(content))
    assert command("down", "--data-dir", data_dir).ended() == 0


@pytest.fixture
def bare_database(postgres_url):
    """The URL of a database without a schema, on a server that is not the supervisor's."""
    name = f"tpeak_bare_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield psycopg.conninfo.conninfo_to_dict(postgres_url) | {"dbname": name}
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def url_of(parts):
    host, port, password = parts["host"], parts.get("port", "5432"), parts.get("password", "hush")
    return f"postgresql://{parts['user']}:{password}@/{parts['dbname']}?host={host}&port={port}"


def test_another_database_is_not_migrated_by_serving_and_stays_up(command, serve, empty_directory, bare_database):
    url = url_of(bare_database)
    server = serve("--data-dir", empty_directory, TPEAK_DATABASE_URL=url)
    assert (status(server.url), status(server.url, "/readyz")) == (200, 503)
    assert "tpeak 0.1.0 is up, but not ready: the database has no tpeak schema yet; run `tpeak migrate`" in server.said
    assert "Traceback" not in server.said
    migrate = command("migrate", "--database-url", url)
    assert migrate.ended() == 0, migrate.said
    assert migrate.said.startswith(f"postgresql://{bare_database['user']}:***@/{bare_database['dbname']} has schema ")
    assert status(server.url, "/readyz") == 200
    assert bare_database.get("password", "hush") not in server.said
    assert sorted(entry.name for entry in empty_directory.iterdir()) == ["token"]
    server.process.terminate()
    assert server.ended() == 0


def test_migrate_without_a_url_upgrades_the_embedded_database_and_stops_it(command, data_dir):
    migrate = command("migrate", "--data-dir", data_dir)
    assert migrate.ended() == 0, migrate.said
    assert migrate.said.startswith(f"the database in {data_dir}/postgres-18 has schema ")
    assert postmaster(data_dir) is None


def test_migrate_says_which_database_does_not_answer_and_not_its_password(command, tmp_path):
    migrate = command("migrate", "--database-url", f"postgresql://me:hush@/name?host={tmp_path}")
    assert migrate.ended() == 1
    assert migrate.said.startswith("tpeak: the schema in postgresql://me:***@/name cannot be brought up to date: ")
    assert "hush" not in migrate.said


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        ("0001", "the database has schema 0001, this server needs 0008; run `tpeak migrate`"),
        ("9999", "the database has schema 9999, which this version does not know; install a newer tpeak"),
    ],
)
def test_a_schema_that_it_does_not_know_is_refused_in_one_line(command, database_of, revision, told):
    server = command(
        "serve", "--port", "0", "--database-url", database_of(revision), TPEAK_TOKEN="a-token-of-some-length"
    )
    assert server.ended() == 1
    assert server.said == f"tpeak: {told}\n"


def test_a_schema_that_changes_under_it_makes_it_unready_in_the_same_words(serve, database_of):
    url = database_of("0008")
    server = serve("--database-url", url, TPEAK_TOKEN="a-token-of-some-length")
    assert readiness(server.url) == (200, None)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    told = "the database has schema 9999, which this version does not know; install a newer tpeak"
    assert readiness(server.url) == (503, told)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE studies RENAME COLUMN note TO remark")
    assert status(server.url, "/api/v1/studies", "a-token-of-some-length") == 503
    assert "Traceback" not in server.said


def readiness(url):
    """The status of /readyz, and what is wrong."""
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=5) as reply:
            return reply.status, None
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["detail"]


@pytest.fixture
def database_of(postgres_url):
    """Makes databases of some schema version."""
    made = []
    with psycopg.connect(postgres_url, autocommit=True) as connection:

        def make(revision):
            made.append(f"tpeak_schema_{uuid.uuid4().hex[:12]}")
            connection.execute(f'CREATE DATABASE "{made[-1]}"')
            url = make_url(postgres_url).set(database=made[-1]).render_as_string(hide_password=False)
            migrate(url, revision if revision in revisions() else "head")
            with psycopg.connect(url, autocommit=True) as own:
                own.execute("UPDATE alembic_version SET version_num = %s", [revision])
            return url

        yield make
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
