"""Trials from outside: enqueued ones, and finished ones."""

from __future__ import annotations

import math

from tpeak_server.domain.changes import Request
from tpeak_server.domain.errors import Invalid, InvalidValue, RequestIdReused, pointer
from tpeak_server.domain.trial import Trial, TrialState
from tpeak_server.service.commands import Add, Added, Keyed, SetAttrs
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.reporting import check_width, undecided
from tpeak_server.service.stopping import count_added


def first_answer(ledger: Ledger, command: Keyed) -> object | None:
    """What was answered under this request id, None for a new one. Raises RequestIdReused."""
    before = ledger.requests.get(command.request_id)
    if before is None:
        return None
    if before[0] != command.fingerprint():
        raise RequestIdReused("this request_id was used for another request; use a new one", where="/request_id")
    answer: object = before[1]
    return answer


def remember(ledger: Ledger, command: Keyed, reply: object) -> object:
    """Keeps the answer under the request id."""
    ledger.remember(Request(request_id=command.request_id, hash=command.fingerprint(), reply=reply))
    return reply


def add(ledger: Ledger, command: Add) -> object:
    """Adds the trials, all or none; the answer is {"numbers": [...], "seq": n}."""
    before = first_answer(ledger, command)
    if before is not None:
        return before
    ledger.writable()
    for index, added in enumerate(command.trials):
        _check(ledger, added, f"/trials/{index}")
    ledger.need_room((pair for added in command.trials for pair in added.distributions.items()), "/trials")
    numbers = [_add(ledger, added) for added in command.trials]
    return remember(ledger, command, {"numbers": numbers, "seq": ledger.seq})


def set_attrs(ledger: Ledger, command: SetAttrs) -> object:
    """Merges attributes into the trial's; the answer is {"seq": n}."""
    before = first_answer(ledger, command)
    if before is not None:
        return before
    ledger.writable()
    ledger.visible(command.number)
    ledger.set_attrs(command.number, command.user_attrs)
    ledger.event("attrs", command.number)
    return remember(ledger, command, {"seq": ledger.seq})


def _check(ledger: Ledger, added: Added, where: str) -> None:
    """Raises Invalid and InvalidValue, pointing into the trial at `where`."""
    for name, distribution in added.distributions.items():
        if name not in added.params:
            raise Invalid(f"a distribution for {name!r}, but no value", where=where + pointer(["distributions", name]))
        try:
            distribution.to_internal(added.params[name])
        except InvalidValue as error:
            raise InvalidValue(error.message, where=where + pointer(["params", name])) from error
    if added.state is TrialState.WAITING:
        if added.values is not None or added.steps:
            raise Invalid("a waiting trial has neither values nor reports", where=where)
        return
    missing = added.params.keys() - added.distributions.keys()
    if missing:
        raise Invalid(
            f"a finished trial needs the distribution of {sorted(missing)[0]!r}", where=f"{where}/distributions"
        )
    _check_values(ledger, added, where)


def _check_values(ledger: Ledger, added: Added, where: str) -> None:
    objectives = len(ledger.study.directions)
    if added.state is TrialState.COMPLETE:
        if added.values is None or len(added.values) != objectives:
            raise InvalidValue(f"a complete trial of this study needs {objectives} value(s)", where=f"{where}/values")
        if any(math.isnan(value) for value in added.values):
            raise InvalidValue("a complete trial's values cannot be NaN; add it as failed", where=f"{where}/values")
    if added.state is TrialState.FAILED and added.values is not None:
        raise Invalid("a failed trial has no values; leave them out", where=f"{where}/values")
    for step in added.steps:
        check_width(step, objectives, f"{where}/reports")
    if len({step.step for step in added.steps}) < len(added.steps):
        raise Invalid("a step is reported twice", where=f"{where}/reports")


def _add(ledger: Ledger, added: Added) -> int:
    internal = {name: d.to_internal(added.params[name]) for name, d in added.distributions.items()}
    ids = {name: ledger.intern(name, distribution) for name, distribution in added.distributions.items()}
    number = ledger.take_number()
    ledger.create(
        Trial(
            number=number,
            state=added.state,
            proposed={ids[name]: value for name, value in internal.items()},
            fixed={name: value for name, value in added.params.items() if name not in ids},
            values=added.values if added.values is not None else _last_values(added),
            constraints=added.constraints,
            constraint_names=added.constraint_names,
            cause=added.error,
            origin="enqueued" if added.state is TrialState.WAITING else "added",
            told_epoch=None if added.state is TrialState.WAITING else 0,
        )
    )
    ledger.event("added", number, state=str(added.state))
    steps = sorted(added.steps, key=lambda step: step.step)
    ledger.report(number, [undecided(number, 0, step, ledger.take_seq()) for step in steps])
    if added.user_attrs:
        ledger.set_attrs(number, added.user_attrs)
    count_added(ledger, number)
    return number


def _last_values(added: Added) -> tuple[float, ...] | None:
    """A pruned trial without values has those of its deepest step."""
    if added.state is not TrialState.PRUNED or not added.steps:
        return None
    return max(added.steps, key=lambda step: step.step).values
