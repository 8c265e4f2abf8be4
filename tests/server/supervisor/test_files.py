"""Tokens, and the files that say where the server is."""

import threading

import pytest

from tpeak_server.config import Settings
from tpeak_server.domain import tokens
from tpeak_server.supervisor.files import (
    ServerRecord,
    published,
    read_record,
    record_content,
    token_for,
    write_atomically,
)
from tpeak_server.supervisor.refusals import Refused

RECORD = ServerRecord(url="http://127.0.0.1:1", pid=77, token_path="/data/token", version="0.1.0")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "token"


def test_on_loopback_a_token_is_made_once_and_kept_for_its_owner_alone(file):
    made = token_for(Settings(data_dir=file.parent), file)
    assert tokens.is_well_formed(made.text)
    assert file.stat().st_mode & 0o777 == 0o600
    assert token_for(Settings(data_dir=file.parent), file) == made
    assert made.text not in repr(made)


def test_of_many_that_make_one_at_once_all_get_the_same(file):
    got, begin = [], threading.Barrier(8)

    def get():
        begin.wait()
        got.append(token_for(Settings(data_dir=file.parent), file).text)

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert [entry.name for entry in file.parent.iterdir()] == ["token"]


def test_where_others_reach_the_server_there_is_no_default(file):
    with pytest.raises(Refused, match=r"serving on 0\.0\.0\.0.* needs a token; set TPEAK_TOKEN, or --token-file"):
        token_for(Settings(data_dir=file.parent, host="0.0.0.0"), file)
    assert not file.exists()


def test_a_given_token_serves_anywhere(file):
    given = Settings(data_dir=file.parent, host="0.0.0.0", token="0123456789abcdef")
    assert token_for(given, file).text == "0123456789abcdef"
    assert not file.exists()


def test_a_token_file_may_end_in_a_newline(file, tmp_path):
    (tmp_path / "secret").write_text("0123456789abcdef\n")
    token = token_for(Settings(data_dir=file.parent, token_file=tmp_path / "secret"), file)
    assert (token.text, token.file) == ("0123456789abcdef", tmp_path / "secret")


@pytest.mark.parametrize("bad", ["short", "with a space in between", "0123456789abcdefé", "0" * 513])
def test_a_token_that_cannot_be_sent_or_can_be_guessed_is_refused_without_showing_it(file, bad):
    with pytest.raises(Refused, match="the token in TPEAK_TOKEN must be 16 to 512 printable") as refused:
        token_for(Settings(data_dir=file.parent, token=bad), file)
    assert bad not in str(refused.value)


def test_a_damaged_token_is_refused(file):
    damaged = tokens.generate("admin")[:-1] + "~"
    with pytest.raises(Refused, match="its checksum is wrong"):
        token_for(Settings(data_dir=file.parent, token=damaged), file)


def test_a_missing_token_file_is_named(file, tmp_path):
    with pytest.raises(Refused, match=r"the token file .*/secret cannot be read"):
        token_for(Settings(data_dir=file.parent, token_file=tmp_path / "secret"), file)


def test_a_published_file_is_its_owners_alone_and_gone_at_the_end(tmp_path):
    file = tmp_path / "server.json"
    with published(file, record_content(RECORD)):
        assert file.stat().st_mode & 0o777 == 0o600
        assert read_record(file) == RECORD
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "nowhere" / "connect.json"
    with pytest.raises(Refused, match=r"/nowhere/connect\.json cannot be written"), published(file, {}):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"url": "http://x", "pid": "x"}', "null"])
def test_a_record_that_is_not_whole_is_none(tmp_path, content):
    (tmp_path / "server.json").write_text(content)
    assert read_record(tmp_path / "server.json") is None


def test_a_reader_never_sees_half_a_file(tmp_path):
    file, contents = tmp_path / "file", {"a" * 100_000, "b" * 100_000}
    write_atomically(file, "a" * 100_000)
    done = threading.Event()

    def write():
        for _ in range(50):
            for content in contents:
                write_atomically(file, content)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while not done.is_set():
        seen.add(file.read_text())
    thread.join()
    assert seen <= contents
