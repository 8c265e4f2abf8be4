"""`tpeak export`: a study as lines of JSON, to a file that is there only once it is whole, or to stdout."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tpeak.connection import connect
from tpeak.errors import StudyNotFound, TpeakError, UnexpectedReply

LARGEST_END = 4096
"""Bytes that surely hold the last line, which only counts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is exported, and where to."""
    parser.add_argument("name", metavar="NAME", help="the study's name")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; without it, stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exports the study; 0 where all of it was written."""
    try:
        if arguments.output in (None, "-"):
            _export(arguments.name, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return 0
        with _whole_or_nothing(Path(arguments.output)) as file:
            end = _export(arguments.name, file)
        print(f"{arguments.output}: {end['trials']} trials of study {arguments.name!r}")
    except BrokenPipeError:
        # Whoever read has gone; Python would complain once more while it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TpeakError, OSError) as failure:
        print(f"tpeak: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _export(name: str, file: BinaryIO) -> dict[str, Any]:
    """Writes the study's lines and gives the last one. Raises UnexpectedReply where it is not the end."""
    client = connect().client
    found = client.get("/studies", {"name": name})["studies"]
    if not found:
        raise StudyNotFound(f"{client.url} has no study named {name!r}")
    tail = b""
    for part in client.stream(f"/studies/{found[0]['id']}/export"):
        file.write(part)
        tail = (tail + part)[-LARGEST_END:]
    return _end(tail)


def _end(tail: bytes) -> dict[str, Any]:
    try:
        last = json.loads(tail.splitlines()[-1])
        if tail.endswith(b"\n") and last["type"] == "end":
            whole: dict[str, Any] = last
            return whole
    except (ValueError, LookupError, TypeError):
        pass
    raise UnexpectedReply("the export broke off before its end; run it again")


@contextmanager
def _whole_or_nothing(file: Path) -> Iterator[BinaryIO]:
    """Written beside the file, readable for its owner alone, and put in its place at the end."""
    number, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(number, "wb") as beside:
            yield beside
            beside.flush()
            os.fsync(number)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
