"""Drawing a stored proposal again, and how the two compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers.seam import NOTHING_LEFT, Explains, Explanation, Sampler, Stream, without_reasons

TIE = 1e-9
"""Scores, log densities, that are not further apart are equal: another build rounds otherwise."""


class Outcome(StrEnum):
    """How a proposal compares with the one drawn again.

    `same` bit for bit; `tie` another candidate of an equal score; `history changed` what determined it cannot be had
    any more, so that neither equal nor different values mean anything.
    """

    SAME = "same"
    TIE = "tie"
    DIFFERS = "differs"
    OTHER_VERSION = "other version"
    NOT_DRAWN = "not drawn"
    HISTORY_CHANGED = "history changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What determined a proposal, the stored proposal, and the sampler's version that it was drawn by.

    `changed` says what is known to be otherwise than it was then, `doubtful` what may be.
    """

    view: View
    space: Space
    pending: Mapping[str, Floats]
    stream: Stream
    values: Mapping[str, float]
    version: str
    changed: Sequence[str] = ()
    doubtful: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The outcome with its reasons in words; `score` is that of the stored values, where they were a candidate.

    `agrees` says that the same values were drawn again, whatever that means: see the outcome.
    """

    outcome: Outcome
    reasons: Sequence[str] = ()
    explanation: Explanation | None = None
    score: float | None = None
    agrees: bool = False


def not_drawn(reason: str) -> Replay:
    """The outcome for values that no sampler of this study has drawn."""
    return Replay(outcome=Outcome.NOT_DRAWN, reasons=[reason])


def replay(sampler: Sampler, drawn: Drawn) -> Replay:
    """Draws the proposal again and compares; the candidates must be the same bit for bit, the scores within TIE."""
    if drawn.version != sampler.version:
        reason = f"drawn by {drawn.version}; {sampler.version}, which is at work now, draws otherwise"
        return Replay(outcome=Outcome.OTHER_VERSION, reasons=[reason])
    again = explained(sampler, drawn)
    stored = _candidate(again, drawn.values)
    score = None if stored is None else float(again.scores[stored])
    agrees = same(again.suggestion.values, drawn.values)
    outcome, reasons = (Outcome.SAME, []) if agrees else _compared(again, drawn, score)
    if drawn.changed or (outcome is Outcome.DIFFERS and drawn.doubtful):
        outcome, reasons = Outcome.HISTORY_CHANGED, [*drawn.changed, *drawn.doubtful]
    return Replay(outcome=outcome, reasons=reasons, explanation=again, score=score, agrees=agrees)


def explained(sampler: Sampler, drawn: Drawn) -> Explanation:
    """The proposal drawn again; from a sampler that gives no reasons, without any."""
    if isinstance(sampler, Explains):
        return sampler.explain(drawn.view, drawn.space, drawn.pending, drawn.stream)
    drawn_again = sampler.suggest(drawn.view, drawn.space, drawn.pending, [drawn.stream])
    return without_reasons(drawn_again[0] if drawn_again else NOTHING_LEFT)


def same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether the values are the same bit for bit, the sign of a zero included."""
    return one.keys() == other.keys() and all(one[name].hex() == other[name].hex() for name in one)


def _candidate(again: Explanation, values: Mapping[str, float]) -> int | None:
    """Which candidate the values are: of equal ones the best."""
    equal = [which for which, candidate in enumerate(again.candidates) if same(candidate, values)]
    return max(equal, key=lambda which: float(again.scores[which]), default=None)


def _compared(again: Explanation, drawn: Drawn, score: float | None) -> tuple[Outcome, list[str]]:
    if score is not None and again.chosen is not None:
        behind = float(again.scores[again.chosen]) - score
        if behind <= TIE:
            return Outcome.TIE, [f"another candidate has the same score but for {behind:.1e}"]
        return Outcome.DIFFERS, [f"the same candidates, of which another one is better by {behind:.3g}"]
    if _nearly(again.suggestion.values, drawn.values):
        return Outcome.DIFFERS, ["equal but for rounding: it was drawn by another build"]
    return Outcome.DIFFERS, ["other values were drawn"]


def _nearly(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    names = one.keys()
    return names == other.keys() and np.allclose([one[n] for n in names], [other[n] for n in names], rtol=TIE, atol=0)
