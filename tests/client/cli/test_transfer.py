"""`tpeak export` and `tpeak import`, against a real server."""

from __future__ import annotations

import io
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tpeak.cli import command
from tpeak.cli.importing import BATCH_LINES

X = {"type": "float", "low": 0.0, "high": 1.0}
OF_THE_PLACE = ("id", "seq", "incarnation", "created_at", "name")


@pytest.fixture(scope="module")
def server(database_url: str, served: Any) -> Iterator[Any]:
    """A real server, where other tests of the client have one that is made up."""
    with served(database_url) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPEAK_URL", server.url)
    monkeypatch.setenv("TPEAK_TOKEN", server.token)


@pytest.fixture
def study(api: httpx.Client) -> str:
    """The name of a study with more trials than go into one request."""
    name = f"study {uuid.uuid4().hex[:8]}"
    made = api.post("/studies", json={"request_id": name, "name": name, "note": "ü", "max_trials": 900}).json()
    trials = [
        {"state": "complete", "params": {"x": n / 1000}, "distributions": {"x": X}, "values": [n / 7]}
        for n in range(600)
    ]
    added = api.post(f"/studies/{made['study']['id']}/trials", json={"request_id": "k", "trials": trials})
    assert added.status_code == 201
    return name


@pytest.fixture
def tpeak(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = command.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def find(api: httpx.Client, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/studies", params={"name": name}).json()["studies"]
    return found


def lines_of(file: Path) -> list[Any]:
    first, *rest = map(json.loads, file.read_text().splitlines())
    return [{name: value for name, value in first.items() if name not in OF_THE_PLACE}, *rest]


def test_what_is_exported_can_be_imported_under_another_name(
    tpeak: Any, study: str, api: httpx.Client, tmp_path: Path
) -> None:
    file, again = tmp_path / "study.jsonl", tmp_path / "again.jsonl"
    assert tpeak("export", study, "-o", file) == (0, f"{file}: 600 trials of study {study!r}\n", "")
    copy = f"{study} copied"
    assert tpeak("import", file, "--name", copy) == (0, f"study {copy!r}: 600 trials, 0 late results\n", "")
    assert tpeak("export", copy, "-o", again)[0] == 0
    assert lines_of(again) == lines_of(file)
    (found,) = find(api, copy)
    assert (found["counts"]["complete"], found["state"], found["note"]) == (600, "open", "ü")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.jsonl", "study.jsonl"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_import_that_is_repeated_changes_nothing(tpeak: Any, study: str, api: httpx.Client, tmp_path: Path) -> None:
    file, copy = tmp_path / "study.jsonl", f"{study} copied"
    tpeak("export", study, "-o", file)
    assert [tpeak("import", file, "--name", copy)[0] for _ in range(2)] == [0, 0]
    (once,) = find(api, copy)
    tpeak("import", file, "--name", copy)
    assert find(api, copy) == [once]


def test_an_import_from_stdin_that_breaks_off_says_so_and_can_be_finished(
    tpeak: Any, study: str, api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, copy = tmp_path / "study.jsonl", f"{study} copied"
    tpeak("export", study, "-o", file)
    content = file.read_bytes()
    cut = b"".join(content.splitlines(keepends=True)[: 2 * BATCH_LINES + 1])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(cut)))
    code, _, error = tpeak("import", "-", "--name", copy)
    assert code == 1
    assert f"the input ended after line {2 * BATCH_LINES + 1} without its `end` line" in error
    assert f"has its first {2 * BATCH_LINES - 1} trials and is paused" in error
    assert find(api, copy)[0]["state"] == "paused"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert tpeak("import", "-", "--name", copy)[0] == 0
    assert (find(api, copy)[0]["state"], find(api, copy)[0]["counts"]["complete"]) == ("open", 600)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda whole: whole[: len(whole) // 2], "it does not end with its `end` line; nothing was imported"),
        (lambda whole: whole[:-1], "it does not end with its `end` line; nothing was imported"),
        (lambda whole: b"", "it does not end with its `end` line; nothing was imported"),
        (lambda whole: b"".join(whole.splitlines(True)[:9] + whole.splitlines(True)[10:]), "should have 603"),
    ],
)
def test_a_file_that_is_not_whole_makes_no_study(
    tpeak: Any, study: str, api: httpx.Client, tmp_path: Path, damage: Any, told: str
) -> None:
    file, copy = tmp_path / "study.jsonl", f"{study} copied"
    tpeak("export", study, "-o", file)
    file.write_bytes(damage(file.read_bytes()))
    code, _, error = tpeak("import", file, "--name", copy)
    assert (code, told in error, error.count("\n")) == (1, True, 1)
    assert find(api, copy) == []


def test_a_study_of_that_name_that_is_another_is_left_alone(tpeak: Any, study: str, tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    tpeak("export", study, "-o", file)
    code, _, error = tpeak("import", file)
    assert code == 1
    assert error.startswith(f"tpeak: there is a study named {study!r} already, and it is not of this export")


def test_a_line_that_cannot_be_is_named_by_its_number(tpeak: Any, study: str, tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    tpeak("export", study, "-o", file)
    lines = file.read_text().splitlines(keepends=True)
    lines[400] = lines[400].replace('"x":[0,', '"y":[0,')
    file.write_text("".join(lines))
    code, _, error = tpeak("import", file, "--name", f"{study} copied")
    assert code == 1
    assert error == ("tpeak: line 401 cannot be imported: there is no distribution 0 of 'y' (at /proposed/y/0)\n")


def test_what_is_no_export_is_refused(tpeak: Any, tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    for content, told in (
        ('{"type":"end","lines":1}\n', "its first line tells of no study"),
        ('{"type":"study","format":2}\n{"type":"end","lines":2}\n', "install a newer tpeak"),
    ):
        file.write_text(content)
        code, _, error = tpeak("import", file)
        assert (code, told in error) == (1, True)
    assert tpeak("import", tmp_path / "missing")[0] == 1


def test_an_unknown_study_leaves_no_file(tpeak: Any, tmp_path: Path) -> None:
    code, _, error = tpeak("export", "nobody's", "-o", tmp_path / "file")
    assert (code, 'has no study named "nobody\'s"' in error) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_the_lines_go_to_stdout(
    study: str, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert command.main(["export", study]) == 0
    written = capsysbinary.readouterr().out.splitlines()
    assert (len(written), json.loads(written[-1])["type"]) == (603, "end")
