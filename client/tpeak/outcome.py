"""How a trial ends: what an objective returned, or was told, as state, values and cause."""

from __future__ import annotations

import math
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tpeak.errors import InvalidValue
from tpeak.states import TrialState
from tpeak.wire import number_in, number_out

CAUSE_CHARACTERS = 8000
"""What is kept of an exception's message and traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trial's end; `cause` says why it failed, `retry` that it should be tried again."""

    state: TrialState
    values: list[float] | None = None
    cause: str | None = None
    retry: bool = False

    def wire(self) -> dict[str, Any]:
        """The fields of a tell that it fills."""
        body: dict[str, Any] = {"state": self.state.value}
        if self.values is not None:
            body["values"] = [number_out(value) for value in self.values]
        if self.cause is not None:
            body["error"] = self.cause
        if self.retry:
            body["retry"] = True
        return body


def read_reply(reply: dict[str, Any]) -> Outcome:
    """The end that the server's reply to a tell speaks of."""
    values = reply["values"]
    return Outcome(
        state=TrialState(reply["state"]),
        values=None if values is None else [number_in(value) for value in values],
        cause=reply["cause"],
    )


def judge(values: Any, state: TrialState | None, objectives: int) -> Outcome:
    """The end that `tell(values, state)` means, for a study of so many objectives.

    Without a state, usable values make the trial complete, others failed with their cause. Raises InvalidValue, a
    ValueError, where a state is given that the values contradict.
    """
    if state is None:
        fault = _fault(values, objectives)
        if fault is not None:
            return Outcome(state=TrialState.FAILED, cause=fault)
        return Outcome(state=TrialState.COMPLETE, values=_floats(values))
    if state == TrialState.COMPLETE:
        fault = _fault(values, objectives)
        if fault is not None:
            raise InvalidValue(f"a trial cannot be complete with this: {fault}")
        return Outcome(state=TrialState.COMPLETE, values=_floats(values))
    if state not in (TrialState.PRUNED, TrialState.FAILED):
        raise InvalidValue(f"a trial cannot be told to be {state}; it is complete, pruned or failed")
    if values is not None:
        raise InvalidValue(f"a {state} trial takes no values; leave them out")
    return Outcome(state=TrialState(state))


def describe(error: BaseException) -> str:
    """Type, message and the end of the traceback, in text that the server takes."""
    head = "".join(traceback.format_exception_only(error)).strip()
    # The first frame is tpeak's call of the objective.
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    trace = "".join(traceback.format_tb(frames)).rstrip()
    room = max(0, CAUSE_CHARACTERS - len(head))
    text = head[:CAUSE_CHARACTERS] + (f"\n{trace[-room:]}" if trace and room else "")
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def _sequence(values: Any) -> Sequence[Any]:
    return values if isinstance(values, Sequence) and not isinstance(values, (str, bytes)) else [values]


def _floats(values: Any) -> list[float]:
    return [float(value) for value in _sequence(values)]


def _fault(values: Any, objectives: int) -> str | None:
    """Why the values are no result, None if they are one."""
    faults = [fault for fault in map(_fault_of_one, _sequence(values)) if fault is not None]
    if faults:
        return "; ".join(faults)
    if len(_sequence(values)) != objectives:
        return f"{len(_sequence(values))} value(s) came for {objectives} objective(s)"
    return None


def _fault_of_one(value: Any) -> str | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return f"the value {_shown(value)} is not a number"
    return "the value is NaN" if math.isnan(number) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
