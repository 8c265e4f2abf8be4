import json
import pickle
import sys
import types

import pytest

from tpeak import connection as module
from tpeak.connection import Connection, connect, locate
from tpeak.errors import InsecureConnection, InvalidConnection


@pytest.fixture
def local(monkeypatch):
    """A stand-in for the module that knows this machine's servers."""
    import tpeak

    stand_in = types.ModuleType("tpeak.local")
    stand_in.join_or_start = lambda: ("http://127.0.0.1:9999", "own")
    stand_in.token_for = {"http://127.0.0.1:8765": "found"}.get
    monkeypatch.setitem(sys.modules, "tpeak.local", stand_in)
    monkeypatch.setattr(tpeak, "local", stand_in, raising=False)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    for name in ("TPEAK_URL", "TPEAK_TOKEN", "TPEAK_CONNECT_FILE", "TPEAK_ALLOW_HTTP", "TPEAK_DEADLINE_S"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TPEAK_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setattr(module, "_connections", {})


@pytest.fixture
def connect_file(tmp_path):
    file = tmp_path / "connect.json"
    file.write_text(json.dumps({"url": "https://filed", "token": "filed"}))
    return str(file)


def test_the_argument_comes_before_the_environment(local):
    environment = {"TPEAK_URL": "https://variable", "TPEAK_TOKEN": "t"}
    assert locate("https://argument", environment) == ("https://argument", "t")
    assert locate(None, environment) == ("https://variable", "t")


def test_a_connect_file_gives_url_and_token(local, connect_file):
    assert locate(None, {"TPEAK_CONNECT_FILE": connect_file}) == ("https://filed", "filed")


def test_a_connect_file_gives_the_token_of_its_url_alone(local, connect_file):
    environment = {"TPEAK_CONNECT_FILE": connect_file}
    assert locate("https://filed/", environment) == ("https://filed/", "filed")
    assert locate("https://other", environment) == ("https://other", None)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"token": "hush"}', "{", '{"url": 5, "token": "hush"}', '{"url": "https://x", "token": 5}']
)
def test_a_connect_file_without_a_url_is_named_and_not_shown(tmp_path, content):
    file = tmp_path / "connect.json"
    file.write_text(content)
    with pytest.raises(InvalidConnection, match=r"connect\.json") as caught:
        locate(None, {"TPEAK_CONNECT_FILE": str(file)})
    assert "hush" not in str(caught.value)


def test_this_machines_server_is_joined_where_nothing_is_given(local):
    assert locate(None, {}) == ("http://127.0.0.1:9999", "own")


def test_a_loopback_urls_token_is_looked_up(local):
    assert locate("http://127.0.0.1:8765/", {}) == ("http://127.0.0.1:8765/", "found")
    assert locate("http://127.0.0.1:1111", {}) == ("http://127.0.0.1:1111", None)


def test_a_process_has_one_connection_for_a_url_and_token(monkeypatch):
    monkeypatch.setenv("TPEAK_TOKEN", "t")
    first = connect("https://server")
    assert connect("https://server/") is first
    monkeypatch.setenv("TPEAK_TOKEN", "other")
    assert connect("https://server") is not first
    assert connect(first) is first


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TPEAK_URL", "http://server")
    monkeypatch.setenv("TPEAK_TOKEN", "t")
    with pytest.raises(InsecureConnection):
        connect()
    monkeypatch.setenv("TPEAK_ALLOW_HTTP", "1")
    monkeypatch.setenv("TPEAK_DEADLINE_S", "5")
    made = connect()
    assert made.client.deadline_s == 5.0
    assert made.spool.folder == tmp_path / "spool"


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_deadline_must_be_a_number_of_seconds(monkeypatch, text):
    monkeypatch.setenv("TPEAK_DEADLINE_S", text)
    with pytest.raises(InvalidConnection, match="TPEAK_DEADLINE_S"):
        connect("https://server")


def test_the_spool_lies_in_the_users_state_directory():
    assert str(module._spool_folder({"XDG_STATE_HOME": "/state"})) == "/state/tpeak/spool"
    assert str(module._spool_folder({})).endswith("/.local/state/tpeak/spool")


def test_a_connection_is_pickled_as_what_it_takes_to_connect_again(monkeypatch):
    monkeypatch.setenv("TPEAK_TOKEN", "t")
    made = connect("https://server")
    assert pickle.loads(pickle.dumps(made)) is made
    monkeypatch.setattr(module, "_connections", {})
    again = pickle.loads(pickle.dumps(made))
    assert isinstance(again, Connection)
    assert (again.client.url, again.client.token) == ("https://server", "t")


def test_the_token_is_never_shown(monkeypatch):
    monkeypatch.setenv("TPEAK_TOKEN", "hush")
    assert "hush" not in repr(connect("https://server"))


def test_storage_urls_of_other_tools_are_refused_with_a_hint():
    with pytest.raises(InvalidConnection, match="tpeak server"):
        connect("sqlite:///example.db")


def test_storage_objects_of_other_tools_are_refused_with_what_it_takes():
    with pytest.raises(TypeError, match=r"storage must be a server's URL, such as http:.*, got a object"):
        connect(object())


def test_batch_systems_ids_are_taken_over():
    assert module._job({"SLURM_JOB_ID": "7", "HOME": "/root"}) == {"SLURM_JOB_ID": "7"}
