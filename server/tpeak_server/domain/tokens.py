"""Tokens: `tpk_<kind>_<30 base62>_<6 base62>`, the last being the CRC-32 of all before it.

The checksum tells a mistyped token, and what only looks like one, without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 30
"""178 bits."""

CHECKSUM_LENGTH = 6
"""What 32 bits need in base62."""

FORM = re.compile(rf"tpk_[a-z]{{1,16}}_[0-9A-Za-z]{{{RANDOM_LENGTH}}}_[0-9A-Za-z]{{{CHECKSUM_LENGTH}}}")


def generate(kind: str) -> str:
    """A new token of the kind, which is 1 to 16 small letters."""
    body = f"tpk_{kind}_" + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{body}_{_checksum(body)}"


def is_well_formed(token: str) -> bool:
    """Whether the text has a token's form and its checksum is right."""
    if not FORM.fullmatch(token):
        return False
    body, _, checksum = token.rpartition("_")
    return checksum == _checksum(body)


def digest(token: str) -> bytes:
    """SHA-256 of the token: what is stored, since a random token needs no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def _checksum(body: str) -> str:
    rest, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, index = divmod(rest, len(ALPHABET))
        letters = ALPHABET[index] + letters
    return letters
