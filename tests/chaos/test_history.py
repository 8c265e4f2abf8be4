"""Histories: an invoke precedes its request, and what is missing counts as unknown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.history import GroupRecorder, Operation, Recorder, conclude, invocation, read


def operation(id: str) -> Operation:
    return Operation(id=id, worker="w", method="POST", path="/studies/s/ask", body={"count": 1}, at=float(len(id)))


def test_operations_come_back_with_their_outcome(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "history-1.jsonl")
    for id, status, reply in [("a", 200, {"seq": 1}), ("bb", 409, {"code": "lease_lost"}), ("ccc", 503, None)]:
        recorder.write(invocation(operation(id)))
        recorder.write(conclude(operation(id), status, reply))
    recorder.write(invocation(operation("dddd")))

    found = read(tmp_path)

    assert [(one.id, one.outcome, one.status) for one in found] == [
        ("a", "ok", 200), ("bb", "fail", 409), ("ccc", "unknown", 503), ("dddd", "unknown", None),
    ]  # fmt: skip
    assert found[0].reply == {"seq": 1}


def test_a_half_written_line_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "history-1.jsonl"
    Recorder(file).write(invocation(operation("a")))
    with file.open("ab") as stream:
        stream.write(b'{"type":"ok","id":"a"')

    assert [one.outcome for one in read(tmp_path)] == ["unknown"]


def test_invokes_of_many_workers_are_on_the_disk_before_they_go_on(tmp_path: Path) -> None:
    async def work() -> None:
        recorder = GroupRecorder(tmp_path / "history-1.jsonl")

        async def one(id: str) -> None:
            await recorder.invoke(operation(id))
            assert id in {found.id for found in read(tmp_path)}
            recorder.conclude(operation(id), 200, {})

        await asyncio.gather(*(one("x" * length) for length in range(1, 50)))
        await recorder.flush()

    asyncio.run(work())

    assert {one.outcome for one in read(tmp_path)} == {"ok"}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/studies", "studies"),
        ("POST", "/studies/s/ask", "ask"),
        ("POST", "/studies/s/trials", "enqueue"),
        ("GET", "/studies/s/trials?limit=3", "trials"),
        ("GET", "/studies/s/trials/3", "get_trial"),
        ("PATCH", "/studies/s/trials/3", "patch_trial"),
        ("POST", "/studies/s/trials/3/tell", "tell"),
        ("PATCH", "/studies/s", "patch_study"),
    ],
)
def test_an_operation_knows_what_it_is(method: str, path: str, kind: str) -> None:
    one = Operation(id="a", worker="w", method=method, path=path, body=None, at=0.0)

    assert one.kind == kind
