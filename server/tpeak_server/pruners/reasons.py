"""Numbers in the reasons that users read."""

from __future__ import annotations


def told_apart(first: float, second: float) -> tuple[str, str]:
    """Both numbers, short unless that would make them look equal."""
    short = f"{first:.6g}", f"{second:.6g}"
    return short if short[0] != short[1] else (repr(first), repr(second))


def counted(number: int, what: str) -> str:
    """The number of things, `1 trial` or `2 trials`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
