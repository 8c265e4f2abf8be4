"""Which replies come compressed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable

import httpx
import pytest

from tpeak_server.api.compression import accepts_gzip, gzipped

TRIALS = [{"state": "complete", "values": [0.1 * n]} for n in range(100)]


@pytest.fixture
def path(api: httpx.Client, new_study: Callable[..., str]) -> str:
    study = f"/studies/{new_study()}"
    assert api.post(f"{study}/trials", json={"request_id": "add", "trials": TRIALS}).status_code == 201
    return study


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("deflate, GZIP ;q=0.5", True),
        ("*", True),
        ("br;q=1.0, *;q=0.1", True),
        ("gzip;q=0", False),
        ("*, gzip;q=0.0", False),
        ("gzip;q=what", False),
        ("gzip;level=9", True),
    ],
)
def test_a_client_says_whether_it_takes_gzip(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize("route", ["columns", "trials", "trials?form=columns"])
def test_large_replies_are_the_same_compressed_and_not(api: httpx.Client, path: str, route: str) -> None:
    plain, small = (api.get(f"{path}/{route}", headers={"Accept-Encoding": name}) for name in ("identity", "gzip"))
    assert (plain.headers.get("content-encoding"), small.headers["content-encoding"]) == (None, "gzip")
    assert small.content == plain.content
    assert small.num_bytes_downloaded < plain.num_bytes_downloaded
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"


def test_a_page_that_fits_into_a_packet_is_not_compressed(api: httpx.Client, new_study: Callable[..., str]) -> None:
    reply = api.get(f"/studies/{new_study()}/trials", headers={"Accept-Encoding": "gzip"})
    assert ("content-encoding" in reply.headers, reply.json()["trials"]) == (False, [])


def test_each_part_can_be_read_as_soon_as_it_is_there() -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"one\n"
        yield b"two\n"

    async def read() -> list[bytes]:
        reader = zlib.decompressobj(zlib.MAX_WBITS + 16)
        found = [reader.decompress(part) async for part in gzipped(parts())]
        assert reader.eof
        return found

    assert asyncio.run(read()) == [b"one\n", b"two\n", b""]
