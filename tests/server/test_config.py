"""Settings from arguments and environment."""

from pathlib import Path

import pytest

from tpeak_server import config
from tpeak_server.config import SettingsError


def test_without_anything_said_it_serves_on_loopback_with_the_embedded_postgresql():
    settings = config.read({}, {})
    assert (settings.host, settings.port, settings.processes) == ("127.0.0.1", 8765, 1)
    assert settings.database_url is None
    assert settings.idle_timeout_s is None
    assert settings.loopback


def test_an_argument_wins_over_a_variable():
    environment = {"TPEAK_PORT": "1000", "TPEAK_HOST": "10.0.0.1", "TPEAK_DATA_DIR": "/from/environment"}
    settings = config.read({"port": "2000", "host": None, "data_dir": "/from/argument"}, environment)
    assert (settings.port, settings.host, settings.data_dir) == (2000, "10.0.0.1", Path("/from/argument"))


def test_an_empty_variable_counts_as_none():
    empty = dict.fromkeys(["TPEAK_DATABASE_URL", "TPEAK_TOKEN", "TPEAK_PORT", "TPEAK_HOST", "TPEAK_DATA_DIR"], "")
    assert config.read({}, empty) == config.read({}, {})


@pytest.mark.parametrize("port", ["-1", "65536", "http", "8765.0", "٨٧٦٥", ""])
def test_a_port_that_is_none_is_named_with_where_it_came_from(port):
    with pytest.raises(SettingsError, match=r"^--port must be a whole number from 0 to 65535, got "):
        config.read({"port": port}, {})


def test_a_wrong_variable_is_named_as_the_variable():
    with pytest.raises(SettingsError, match=r"^TPEAK_PROCESSES must be a whole number from 1 to 32, got '0'"):
        config.read({}, {"TPEAK_PROCESSES": "0"})


@pytest.mark.parametrize("url", ["mysql://user:secret@host/name", "host=there password=secret", "//[secret"])
def test_another_databases_url_is_refused_without_showing_its_password(url):
    with pytest.raises(SettingsError, match="must read postgresql://") as refused:
        config.read({"database_url": url}, {})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "soon"])
def test_an_idle_timeout_is_a_positive_number(timeout):
    with pytest.raises(SettingsError, match="--idle-timeout must be a positive number of seconds"):
        config.read({"idle_timeout": timeout}, {})


def test_secrets_stay_out_of_the_repr():
    settings = config.read({"database_url": "postgresql://u:hush@host/name"}, {"TPEAK_TOKEN": "0123456789abcdef"})
    assert "hush" not in repr(settings)
    assert "0123456789abcdef" not in repr(settings)


def test_a_token_file_named_by_argument_wins_over_the_token_variable():
    settings = config.read({"token_file": "/run/secrets/token"}, {"TPEAK_TOKEN": "0123456789abcdef"})
    assert (settings.token, settings.token_file) == (None, Path("/run/secrets/token"))


def test_the_token_variable_wins_over_the_token_file_variable():
    settings = config.read({}, {"TPEAK_TOKEN": "0123456789abcdef", "TPEAK_TOKEN_FILE": "/run/secrets/token"})
    assert (settings.token, settings.token_file) == ("0123456789abcdef", None)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_loopback_is_what_only_this_machine_reaches(host, alone):
    assert config.is_loopback(host) is alone


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:hush@host:5432/name", "postgresql://user:***@host:5432/name"),
        ("postgresql://user:hu%40sh@host/name?password=hush", "postgresql://user:***@host/name"),
        ("postgresql://user@host/name", "postgresql://user@host/name"),
        ("postgresql:///name?host=/run", "postgresql:///name"),
    ],
)
def test_a_database_url_is_shown_without_its_password(url, shown):
    assert config.masked(url) == shown
