"""The servers' answers in the model's words, and whether the model says the same."""

from __future__ import annotations

import pickle
from typing import Any

from tests.model.model import Model, Refused
from tpeak_server.domain.errors import DomainError
from tpeak_server.service import commands as c
from tpeak_server.service.asking import Asked
from tpeak_server.service.commands import Command

VERBS = {
    c.Ask: Model.ask,
    c.Suggest: Model.suggest,
    c.ReportSteps: Model.report,
    c.Tell: Model.tell,
    c.Heartbeat: Model.heartbeat,
    c.Release: Model.release,
    c.Add: Model.add,
    c.SetAttrs: Model.set_attrs,
    c.ChangeStudy: Model.change,
    c.Archive: Model.archive,
    c.Expire: Model.expire,
    c.ControlStudy: Model.control,
    c.ChangeTrial: Model.change_trial,
    c.Delete: Model.delete,
}


class Differs(AssertionError):
    """A server and the model disagree."""


def said(answer: Any) -> Any:
    """The answer as the model knows answers: a dict, or the code of an error."""
    if isinstance(answer, DomainError):
        return answer.code
    if isinstance(answer, Asked):
        trials = [
            {"number": t.lease.number, "epoch": t.lease.epoch, "token": t.lease.token, "params": dict(t.params)}
            for t in answer.trials
        ]
        return {"trials": trials, "done": answer.done, "seq": answer.seq}
    if answer is None or isinstance(answer, dict):
        return answer or {}
    names = ("number", "state", "values", "value", "prune", "kept", "cancel", "lease_seconds", "seq")
    return {name: getattr(answer, name) for name in names if hasattr(answer, name)}


def check(model: Model, command: Command, heard: Any, *, repeated: bool = False) -> None:
    """Carries the command out in the model too. Raises Differs.

    `repeated`: the server may have tried again after a lost commit, so that its answer is of a later time,
    unless the first one was stored under the command's key.
    """
    expected = carry_out(model, command, heard if isinstance(heard, dict) else None)
    if repeated and isinstance(expected, dict) and isinstance(heard, dict) and not isinstance(command, c.Keyed):
        expected = {name: value for name, value in expected.items() if name != "lease_seconds"}
        if "seq" in expected and heard["seq"] >= expected["seq"]:
            expected["seq"] = heard["seq"]
    if isinstance(expected, dict) and isinstance(heard, dict):
        heard = {name: value for name, value in heard.items() if name in expected}
    if plain(expected) != plain(heard):
        raise Differs(f"{command}\n  must be answered {plain(expected)}\n  and was answered {plain(heard)}")


def carry_out(model: Model, command: Command, heard: Any) -> Any:
    """What the model says to the command; it learns from what was heard."""
    try:
        return VERBS[type(command)](model, command, heard)
    except Refused as refused:
        return refused.args[0]


def in_some_order(model: Model, answered: list[tuple[Command, Any]], seq: int, *, repeated: bool) -> Model:
    """The model after the commands, in an order that explains all of the answers. Raises Differs where there is none.

    An answer of None is that of the reaper's own commands, which nobody hears. `seq` is where the study is after them.
    """
    differences: list[str] = []

    def explained(before: bytes, left: list[tuple[Command, Any]]) -> Model | None:
        if not left:
            after: Model = pickle.loads(before)
            return after if after.seq == seq else None
        for index, (command, heard) in enumerate(left):
            after = pickle.loads(before)
            try:
                check(after, command, {} if heard is None else heard, repeated=repeated)
            except Differs as difference:
                differences.append(str(difference))
                continue
            found = explained(pickle.dumps(after), left[:index] + left[index + 1 :])
            if found is not None:
                return found
        return None

    found = explained(pickle.dumps(model), answered)
    if found is None:
        shown = "\n".join(f"{command} -> {plain(heard)}" for command, heard in answered)
        raise Differs(
            f"no order explains these answers, after which seq is {seq}:\n{shown}\n" + "\n".join(differences[:8])
        )
    return found


def plain(value: Any) -> str:
    """The value as text, which tells -0.0 from 0.0 and finds NaN equal to itself; dicts in the order of their keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {plain(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(plain, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(float(value))
    return repr(str(value)) if isinstance(value, str) else repr(value)
