"""The generations of a study: which trials belong to which, and what was made of them, kept from one view to the next.

Which generation a trial was proposed in is stored with it, as its origin. All else is computed from the finished
trials, one generation after the other, so that whoever sees the same trials comes to the same state. Late results, and
trials that are deleted, change the generation they belong to and what came after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats

Rows: TypeAlias = NDArray[np.int64]

S = TypeVar("S")

KEPT = 16
"""States that are kept: results rarely come later than that many generations."""


def grouped(labels: NDArray[np.int32], counted: NDArray[np.bool_]) -> list[tuple[int, Rows]]:
    """The generations that have trials which count, ascending, each with the rows of these in trial order."""
    rows = np.flatnonzero(counted & (labels >= 0))
    rows = rows[np.argsort(labels[rows], kind="stable")]
    generations, starts = np.unique(labels[rows], return_index=True)
    return list(zip(generations.tolist(), np.split(rows, starts[1:]), strict=False))


def next_generation(generations: Sequence[tuple[int, Rows]], size: int) -> int:
    """The generation that a new trial belongs to: the latest one until it has `size` results."""
    if not generations:
        return 0
    latest, rows = generations[-1]
    return latest if len(rows) < size else latest + 1


class Memo(Generic[S]):
    """The latest states, by all that led to them. A state is never changed once it is here."""

    def __init__(self) -> None:
        self._states: dict[bytes, S] = {}

    def folded(
        self, first: bytes, begin: Callable[[], S], parts: Sequence[Floats], step: Callable[[S, Floats], S]
    ) -> S:
        """The state after all parts, one step each; `first` stands for everything else that the state depends on."""
        keys = [_digest(first, b"")]
        for part in parts:
            keys.append(_digest(keys[-1], np.ascontiguousarray(part).tobytes()))
        states = self._states
        known = next((at for at in range(len(parts), -1, -1) if keys[at] in states), None)
        at, state = (0, begin()) if known is None else (known, states[keys[known]])
        found = {keys[at]: state}
        for key, part in zip(keys[at + 1 :], parts[at:], strict=True):
            state = found[key] = step(state, part)
            if len(found) > KEPT:
                del found[next(iter(found))]
        kept = {key: one for key, one in states.items() if key not in found} | found
        # Other threads go on with the dictionary that they have.
        self._states = dict(list(kept.items())[-KEPT:])
        return state


def _digest(before: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(before + data, digest_size=16).digest()
