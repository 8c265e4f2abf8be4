"""Tokens that can be told from mistyped ones."""

import hashlib

import pytest

from tpeak_server.domain import tokens

WELL_FORMED = "tpk_admin_0123456789ABCDEFGHIJabcdefghij_3TMQVJ"


def test_a_new_token_is_well_formed_and_never_the_same():
    made = {tokens.generate("admin") for _ in range(100)}
    assert len(made) == 100
    assert all(tokens.is_well_formed(token) for token in made)


def test_a_token_says_its_kind_and_has_thirty_random_letters_and_a_checksum_of_six():
    prefix, kind, secret, checksum = tokens.generate("reader").split("_")
    assert (prefix, kind, len(secret), len(checksum)) == ("tpk", "reader", 30, 6)


def test_the_checksum_is_the_crc_32_of_all_before_it_in_base62():
    assert tokens.is_well_formed(WELL_FORMED)


@pytest.mark.parametrize(
    "damaged",
    [
        WELL_FORMED.replace("0123", "1023"),
        WELL_FORMED.replace("admin", "adnin"),
        WELL_FORMED[:-1] + "K",
        WELL_FORMED[:-1],
        WELL_FORMED + "0",
        WELL_FORMED + "\n",
        WELL_FORMED.replace("tpk", "TPK"),
        WELL_FORMED.replace("0123", "٠١٢٣"),
        "",
        "tpk_admin",
    ],
)
def test_a_damaged_token_is_noticed(damaged):
    assert not tokens.is_well_formed(damaged)


def test_what_is_stored_is_the_sha_256():
    assert tokens.digest(WELL_FORMED) == hashlib.sha256(WELL_FORMED.encode()).digest()
