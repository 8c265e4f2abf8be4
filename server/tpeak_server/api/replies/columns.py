"""Trials on the wire as columns: as JSON numbers, page by page, and packed, for those who read all of them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import Number, numbers
from tpeak_server.domain.distributions import Distribution, FloatDistribution
from tpeak_server.service.columns import Curves, Moments, Param, Results, Rows, TrialColumns, by_name, each_row

AT_ONCE = 250
"""Values that are written in one go: whoever else wants to run waits until they are."""

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)

Column = TypeVar("Column", "MomentsReply", "ResultsReply", "ParamReply")

Packed = str
"""Numbers, little-endian, in base64: first the lowest byte of each, then the next one of each, and so on.

In that order the bytes that are alike, of numbers that are, stand together, which saves gzip a seventh.
"""


Pairs = list[list[Any]]
"""The place of each trial that has such a thing, with it."""


class ColumnsReply(TypedDict):
    """A page of trials, as columns."""

    number: list[int]
    state: list[str]
    values: list[list[Number] | None]
    params: dict[str, list[Any]]
    next: int | None
    seq: int


class WordsReply(TypedDict):
    """A word for each trial: its place (int32) among these; without places all have the first one."""

    words: list[str]
    index: NotRequired[Packed]


class MomentsReply(TypedDict):
    """Times in microseconds after 1970-01-01 UTC (int64), of the trials at these places (int32), or of all."""

    at: NotRequired[Packed]
    us: Packed


class ResultsReply(TypedDict):
    """For each objective the values (float64) of the trials at these places (int32), or of all."""

    at: NotRequired[Packed]
    values: list[Packed]


class ParamReply(TypedDict):
    """The values (float64) of the trials at these places (int32), or of all; of a categorical the choice's index."""

    name: str
    distribution: dict[str, Any]
    at: NotRequired[Packed]
    values: Packed


class CurvesReply(TypedDict):
    """Reports by trial and step: the trial's place (int32), step (int64), values and cost (float64, NaN: none)."""

    at: Packed
    step: Packed
    values: list[Packed]
    cost: NotRequired[Packed]


class PackedReply(TypedDict):
    """Trials as packed columns, and what few of them have as pairs."""

    number: Packed
    state: WordsReply
    origin: WordsReply
    started_at: MomentsReply
    finished_at: MomentsReply
    values: list[ResultsReply]
    params: list[ParamReply]
    reports: list[CurvesReply]
    attempt: NotRequired[Pairs]
    cause: NotRequired[Pairs]
    fixed: NotRequired[Pairs]
    constraints: NotRequired[Pairs]
    constraint_names: NotRequired[Pairs]
    exempt: NotRequired[Pairs]
    user_attrs: NotRequired[Pairs]
    next: int | None
    seq: int


def columns(page: TrialColumns) -> bytes:
    """The page as a ColumnsReply."""
    params = ((name, _joined(page, parts)) for name, parts in by_name(page).items())
    fields = {
        "number": _list(page.numbers),
        "state": _list(page.states),
        "values": _list(_values(page)),
        "params": _object({name: _list(values) for name, values in params}),
        "next": _encoder.encode(page.next),
        "seq": _encoder.encode(page.seq),
    }
    return _object(fields).encode()


def packed(page: TrialColumns) -> bytes:
    """The page as a PackedReply, on a line of its own."""
    fields = PackedReply(
        number=_packed(np.array(page.numbers, dtype="<i4")),
        state=_words(page.states),
        origin=_words(page.origins),
        started_at=_moments(page.started),
        finished_at=_moments(page.finished),
        values=[_results(one) for one in page.results],
        params=[_param(one) for one in page.params],
        reports=[_curves(one) for one in page.curves],
        next=page.next,
        seq=page.seq,
    )
    texts = {name: _text(value) for name, value in fields.items()}
    texts |= {name: _encoder.encode(pairs) for name, pairs in _rare(page).items() if pairs}
    if page.attrs:
        # As PostgreSQL has put them together: reading them here would be for nothing.
        texts["user_attrs"] = "[" + ",".join(f"[{row},{attrs}]" for row, attrs in page.attrs) + "]"
    return (_object(texts) + "\n").encode()


def _values(page: TrialColumns) -> list[list[Number] | None]:
    found: list[list[Number] | None] = [None] * len(page.numbers)
    for results in page.results:
        for row, values in each_row(results.rows, results.values.T.tolist()):
            found[row] = numbers(values)
    return found


def _joined(page: TrialColumns, parts: Sequence[Param]) -> list[Any]:
    """External values of one name for all trials, None where a trial has none."""
    found = [None] * len(page.numbers)
    for param in parts:
        for row, value in each_row(param.rows, _external(param.interned.distribution, param.values)):
            found[row] = value
    return found


def _external(distribution: Distribution, values: NDArray[np.float64]) -> list[Any]:
    internal = values.tolist()
    return internal if isinstance(distribution, FloatDistribution) else list(map(distribution.to_external, internal))


def _rare(page: TrialColumns) -> dict[str, list[tuple[int, Any]]]:
    attempts = [(int(row), int(page.attempts[row])) for row in np.flatnonzero(page.attempts)]
    return {
        "attempt": attempts,
        "cause": [(row, cause) for row, cause, *_ in page.rare if cause is not None],
        "fixed": [(row, fixed) for row, _, fixed, *_ in page.rare if fixed],
        "constraints": [(row, numbers(values)) for row, _, _, values, *_ in page.rare if values is not None],
        "constraint_names": [(row, names) for row, _, _, _, names, _ in page.rare if names is not None],
        "exempt": [(row, True) for row, *_, exempt in page.rare if exempt],
    }


def _words(words: Sequence[str]) -> WordsReply:
    known = {word: index for index, word in enumerate(dict.fromkeys(words))}
    if len(known) < 2:
        return WordsReply(words=list(known))
    return WordsReply(words=list(known), index=_packed(np.array([known[word] for word in words], dtype="<i4")))


def _moments(moments: Moments) -> MomentsReply:
    return _placed(MomentsReply(us=_packed(moments.us)), moments.rows)


def _results(results: Results) -> ResultsReply:
    return _placed(ResultsReply(values=[_packed(values) for values in results.values]), results.rows)


def _param(param: Param) -> ParamReply:
    name, spec = param.interned.name, param.interned.distribution.spec()
    return _placed(ParamReply(name=name, distribution=spec, values=_packed(param.values)), param.rows)


def _curves(curves: Curves) -> CurvesReply:
    values = [_packed(values) for values in curves.values]
    found = CurvesReply(at=_packed(curves.rows), step=_packed(curves.steps), values=values)
    if not np.isnan(curves.costs).all():
        found["cost"] = _packed(curves.costs)
    return found


def _placed(found: Column, rows: Rows | None) -> Column:
    """The column, with the places of its trials where it is not of all."""
    if rows is not None:
        found["at"] = _packed(rows)
    return found


def _packed(values: NDArray[Any]) -> Packed:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return b64encode(little.view(np.uint8).reshape(-1, values.itemsize).T.tobytes()).decode()


def _list(values: Sequence[Any]) -> str:
    return "[" + ",".join(_encoder.encode(part)[1:-1] for part in _parts(values)) + "]"


def _text(value: Any) -> str:
    """The value's JSON; columns are written one by one, see AT_ONCE."""
    return "[" + ",".join(map(_encoder.encode, value)) + "]" if isinstance(value, list) else _encoder.encode(value)


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[first : first + AT_ONCE] for first in range(0, len(values), AT_ONCE))


def _object(texts: dict[str, str]) -> str:
    return "{" + ",".join(f"{_encoder.encode(name)}:{text}" for name, text in texts.items()) + "}"
