"""The files that tell others where the server is, and its token. All are their owner's alone, and written whole."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tpeak_server.config import Settings
from tpeak_server.domain import tokens
from tpeak_server.supervisor.refusals import Refused

TOKEN_FORM = re.compile(r"[!-~]{16,512}")
"""What can stand in a header and cannot be guessed by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """The content of server.json. Without a `token_path` the token was given in the environment."""

    url: str
    pid: int
    token_path: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Token:
    """The shared token, and the file that it came from."""

    text: str
    file: Path | None

    def __repr__(self) -> str:
        return f"Token(file={self.file})"


def write_atomically(file: Path, text: str) -> None:
    """Writes the file, mode 0600: whoever reads it meanwhile gets the old content or the new one."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def published(file: Path, content: dict[str, object]) -> Iterator[None]:
    """The JSON file is there within the block, and gone after it."""
    try:
        write_atomically(file, json.dumps(content) + "\n")
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}; name a place that can") from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def record_content(record: ServerRecord) -> dict[str, object]:
    """The record as it stands in server.json."""
    return asdict(record)


def read_record(file: Path) -> ServerRecord | None:
    """The record in the file, None where there is none or it is not whole."""
    try:
        found = json.loads(file.read_text())
        return ServerRecord(
            url=found["url"], pid=int(found["pid"]), token_path=found["token_path"], version=found["version"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def token_for(settings: Settings, own_file: Path) -> Token:
    """The token to serve with: the given one; on loopback else the one in `own_file`, made on the first start.

    Raises Refused where there is none on another host, or it is none that can be sent.
    """
    if settings.token is not None:
        return Token(_checked(settings.token, "TPEAK_TOKEN"), None)
    if settings.token_file is not None:
        return Token(_checked(_content(settings.token_file), str(settings.token_file)), settings.token_file)
    if not settings.loopback:
        raise Refused(
            f"serving on {settings.host}, where others can reach it, needs a token; set TPEAK_TOKEN, or --token-file "
            "to a file with at least 16 random characters (`openssl rand -hex 32` makes some)"
        )
    _make_once(own_file)
    return Token(_checked(_content(own_file), str(own_file)), own_file)


def _make_once(file: Path) -> None:
    """Writes a new token unless there is one; of several processes at once, one's stands for all."""
    if file.exists():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}-") as new:
            new.write(tokens.generate("admin") + "\n")
            new.flush()
            with suppress(FileExistsError):
                os.link(new.name, file)
    except OSError as error:
        raise Refused(f"no token can be kept in {file}: {error.strerror}; set TPEAK_TOKEN or --data-dir") from error


def _content(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the token file {file} cannot be read: {error}") from None


def _checked(text: str, source: str) -> str:
    # The token itself is never shown.
    if not TOKEN_FORM.fullmatch(text):
        raise Refused(f"the token in {source} must be 16 to 512 printable ASCII characters without spaces")
    if text.startswith("tpk_") and not tokens.is_well_formed(text):
        raise Refused(f"the token in {source} is damaged: its checksum is wrong; copy it anew")
    return text
