"""What every sampler is: one function from what is known to where to look next."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View


@dataclass(frozen=True, slots=True)
class Stream:
    """The randomness of one suggestion: generators that are always the same for the same arguments.

    `parameter` is the name of a late parameter that is drawn by itself, whatever the purpose.
    """

    seed: int
    number: int
    parameter: str = ""

    def __call__(self, purpose: str) -> np.random.Generator:
        """The trial's own generator for a purpose: 'joint', or a parameter's name."""
        return _generator(self.seed, self.number, _hash(self.parameter or purpose))

    def of_study(self, purpose: str) -> np.random.Generator:
        """The generator for a purpose that all trials of the study share."""
        return _generator(self.seed, _hash(purpose))


def _generator(*entropy: int) -> np.random.Generator:
    # As SeedSequence(entropy) would have it, which takes longer to find the words.
    words = np.array([word for number in entropy for word in _words(number)], dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


@lru_cache(maxsize=4096)
def _words(number: int) -> tuple[int, ...]:
    """The number's 32-bit words, the lowest first."""
    return tuple(number >> shift & 0xFFFFFFFF for shift in range(0, max(number.bit_length(), 1), 32))


@lru_cache(maxsize=4096)
def _hash(purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest())


class Sampler(Protocol):
    """Draws points. The result depends on the arguments alone; what is kept between calls is a memo."""

    version: str
    """Changes whenever the same arguments may give another result: stored with every trial."""

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws `len(streams)` points of `space`, in order; each sees the ones before it as pending.

        Fewer where nothing is left to be tried, but for what trials under way may still show. A late parameter always
        has a value. Raises Invalid for a late parameter alone.

        Args:
            view: the finished trials.
            space: the distributions of all names, the fixed ones included.
            pending: name -> (m,) internal values of running trials, NaN where absent; every name of `space` is there.
            streams: the randomness of each suggestion.
            fixed: internal values that are given; the other names are drawn conditionally on them. The returned
                values hold only the names that were drawn.
        """
        ...


@runtime_checkable
class Counts(Protocol):
    """A sampler that counts the trials of its generations: its view is never to lag behind."""

    kind: str
    """Its name in `View.generations`, and in the origin of what it proposes."""


@runtime_checkable
class Labours(Protocol):
    """A sampler that takes much longer for a suggestion than TPE does."""

    def labours(self, view: View, space: Space, pending: Mapping[str, Floats]) -> bool:
        """Whether it would for one of these arguments."""
        ...


@runtime_checkable
class Batches(Protocol):
    """A sampler that may draw several points for much less than as many single ones."""

    def batches(self, view: View, space: Space) -> bool:
        """Whether it does for these arguments, as far as it has found out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One suggestion, drawn again, with all that it was chosen from.

    `candidates` are internal values in the order drawn, none where there was nothing to choose from; `scores` (c,) are
    their log l - log g, and `chosen` is the one that was taken. `good` and `bad` are, for every name that was drawn,
    the log marginal density of the chosen value in each mixture.
    """

    suggestion: Suggestion
    candidates: Sequence[Mapping[str, float]]
    scores: Floats
    chosen: int | None
    good: Mapping[str, float]
    bad: Mapping[str, float]


@runtime_checkable
class Explains(Protocol):
    """A sampler that can say why."""

    def explain(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        stream: Stream,
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> Explanation:
        """What `suggest` draws from the same arguments for this one stream, and why."""
        ...


@runtime_checkable
class Walks(Protocol):
    """A sampler that hands out each point once: it must see every trial, under the study's lock, and one at a time."""

    walks: bool

    def holding(self, values: Mapping[str, Any]) -> Sampler:
        """The sampler of the points that have these external values."""
        ...


def walks(sampler: Sampler) -> bool:
    """Whether the sampler hands out each point once."""
    return isinstance(sampler, Walks) and sampler.walks


@runtime_checkable
class Wraps(Protocol):
    """A sampler that leaves the drawing to another one."""

    base: Sampler


def innermost(sampler: Sampler) -> Sampler:
    """The sampler that draws in the end: what it counts and how long it takes holds for those around it."""
    while isinstance(sampler, Wraps):
        sampler = sampler.base
    return sampler


def without_reasons(suggestion: Suggestion) -> Explanation:
    """The explanation of a suggestion that was not chosen from candidates."""
    return Explanation(suggestion=suggestion, candidates=(), scores=np.empty(0), chosen=None, good={}, bad={})


NOTHING_LEFT = Suggestion(values={}, origin="exhausted")
"""Stands for a suggestion where one is drawn again, and nothing is left this time."""
