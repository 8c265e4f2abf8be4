"""`tpeak import`: a study out of the lines of an export.

The lines are sent in requests whose keys come from the lines themselves, so that an import which was interrupted is
gone on with, and one that was complete changes nothing, when the command is run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tpeak.connection import connect
from tpeak.errors import Invalid, InvalidValue, StudyExists, TpeakError

FORMAT = 1
"""The newest form of a study's first line that is understood here."""

BATCH_LINES = 250
BATCH_BYTES = 900_000
"""What goes into one request: a server takes 1,000 lines and 1 MiB, and answers others in between."""

OF_THE_PLACE = ("type", "format", "id", "schema", "incarnation", "seq", "created_at")
"""What the first line says of the server that wrote it."""

EVERYWHERE = {"max_host_failures": 3, "late_results": "accept"}
"""Settings that an older server does not know, and what it does: sent only where they say something else."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far the lines have come."""

    line: int = 0
    trials: int = 0
    end: dict[str, Any] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is imported, and as what."""
    parser.add_argument("file", metavar="FILE", help="what `tpeak export` wrote; - reads stdin")
    parser.add_argument("--name", metavar="NAME", help="the study's name here; without it, the one that it had")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Imports the study; 0 where all of it is there."""
    try:
        with ExitStack() as stack:
            if arguments.file == "-":
                source: BinaryIO = sys.stdin.buffer
            else:
                source = stack.enter_context(Path(arguments.file).open("rb"))
                _check_whole(source)
            _import(source, arguments.name)
    except (TpeakError, OSError) as failure:
        print(f"tpeak: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _check_whole(file: BinaryIO) -> None:
    """Raises InvalidValue unless the file ends as an export does, with as many lines as it should have."""
    count, last = 0, b""
    for line in file:
        count, last = count + 1, line
    file.seek(0)
    end = _parsed(last, count) if last.endswith(b"\n") else {}
    if end.get("type") != "end":
        raise InvalidValue(f"{file.name} is no whole export: it does not end with its `end` line; nothing was imported")
    if end.get("lines") != count:
        raise InvalidValue(f"{file.name} has {count} lines and should have {end.get('lines')}; nothing was imported")


def _import(source: BinaryIO, name: str | None) -> None:
    first = source.readline()
    study = _parsed(first, 1)
    if study.get("type") != "study":
        raise InvalidValue("this is no export: its first line tells of no study; nothing was imported")
    if study.get("format") != FORMAT:
        raise InvalidValue(f"this export has format {study.get('format')}, not {FORMAT}: install a newer tpeak")
    name = name or study["name"]
    client = connect().client
    digest = hashlib.sha256(first + name.encode())
    wanted = _settings(study) | {"name": name, "request_id": _key(digest), "if_exists": "error"}
    try:
        made = client.post("/studies", wanted)
    except StudyExists:
        raise StudyExists(
            f"there is a study named {name!r} already, and it is not of this export; import it as another with --name"
        ) from None
    path = f"/studies/{made['study']['id']}/import"
    progress = Progress(line=1)
    for number, batch in _batches(source, progress):
        for line in batch:
            digest.update(line)
        # The lines as they are: what was read and written again might be another number.
        body = b'{"request_id":"%s","lines":[%s]}' % (_key(digest).encode(), b",".join(batch))
        try:
            client.request("POST", path, content=body)
        except Invalid as error:
            raise _placed(error, number) from None
    if progress.end is None:
        raise InvalidValue(
            f"the input ended after line {progress.line} without its `end` line: study {name!r} has its first "
            f"{progress.trials} trials and is paused; import the whole export, or delete the study"
        )
    print(f"study {name!r}: {progress.end['trials']} trials, {progress.end['late_results']} late results")


def _placed(error: Invalid, first: int) -> Invalid:
    """The error, saying which line of the input it means; `first` is the number of the request's first one."""
    place = re.fullmatch(r"/lines/(\d+)(.*)", error.where or "", re.DOTALL)
    if place is None:
        return error
    return InvalidValue(f"line {first + int(place[1])} cannot be imported: {error.message}", where=place[2] or None)


def _batches(source: BinaryIO, progress: Progress) -> Iterator[tuple[int, list[bytes]]]:
    """The lines in parts that depend on nothing but the lines, each with the number of its first one."""
    batch: list[bytes] = []
    size = 0
    for line in source:
        progress.line += 1
        found = _parsed(line, progress.line)
        progress.trials += found.get("type") == "trial"
        if found.get("type") == "end":
            progress.end = found
        if batch and (len(batch) == BATCH_LINES or size + len(line) > BATCH_BYTES):
            yield progress.line - len(batch), batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield progress.line - len(batch) + 1, batch


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidValue(f"line {number} is no JSON object: this is no export, or a broken one")
    return found


def _settings(study: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in study.items() if name not in OF_THE_PLACE}
    return {name: value for name, value in given.items() if value != EVERYWHERE.get(name)}


def _key(digest: Any) -> str:
    return f"import-{digest.hexdigest()[:40]}"
