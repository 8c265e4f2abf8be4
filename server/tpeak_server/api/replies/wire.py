"""What all replies are made of: JSON, numbers that may be non-finite, times, distributions, curves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired

from starlette.responses import Response
from typing_extensions import TypedDict

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.trial import TrialRecord

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)

Number = float | str
"""A float, or the name of a non-finite one."""


class StepReply(TypedDict):
    """Intermediate values at a step."""

    step: int
    values: list[Number]
    cost: NotRequired[float]


def reply(body: Mapping[str, Any], status: int = 200) -> Response:
    """The response with this body; a non-finite number in it would be a mistake made here."""
    return Response(encoded(body), status, media_type="application/json")


def encoded(body: Any) -> bytes:
    """JSON, in which non-finite numbers have no place."""
    return _encoder.encode(body).encode()


def specs(distributions: Mapping[str, Distribution]) -> dict[str, Any]:
    return {name: distribution.spec() for name, distribution in distributions.items()}


def steps(record: TrialRecord) -> list[StepReply]:
    """The reports of the trial's curve."""
    return [_step(step, record.curve[step], record.costs.get(step)) for step in sorted(record.curve)]


def _step(step: int, values: tuple[float, ...], cost: float | None) -> StepReply:
    found = StepReply(step=step, values=[number(value) for value in values])
    return found if cost is None else StepReply(**found, cost=cost)


def numbers(values: Iterable[float] | None) -> list[Number] | None:
    return None if values is None else [number(value) for value in values]


def number(value: float) -> Number:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
