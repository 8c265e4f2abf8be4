"""The parameters of one running trial: from the proposal that came with the ask, or asked for one by one."""

from __future__ import annotations

import warnings
from typing import Any

from tpeak.distributions import Distribution, check_compatible, from_spec
from tpeak.errors import Invalid, InvalidDistribution
from tpeak.heartbeat import Lease


class Parameters:
    """What was suggested so far: `values` and `distributions`, by name."""

    def __init__(self, issued: dict[str, Any], lease: Lease) -> None:
        self.values: dict[str, Any] = {}
        self.distributions: dict[str, Distribution] = {}
        self._lease = lease
        self._proposed: dict[str, Any] = issued["params"]
        self._kinds = {name: spec["type"] for name, spec in issued["distributions"].items()}
        self._fixed: dict[str, Any] = issued.get("fixed") or {}

    def suggest(self, name: str, asked: Distribution) -> Any:
        """The trial's value of this name, the same throughout."""
        if name in self.values:
            return self._again(name, asked)
        covered = self._covers(name, asked)
        value = asked.external(self._proposed[name]) if covered else self._ask_for(name, asked)
        self.values[name] = value
        self.distributions[name] = asked
        return value

    def _again(self, name: str, asked: Distribution) -> Any:
        first = self.distributions[name]
        check_compatible(first, asked)
        if first != asked:
            warnings.warn(f"{name!r} was suggested from {first} before; its value stands", stacklevel=5)
        return self.values[name]

    def _covers(self, name: str, asked: Distribution) -> bool:
        """Whether the value that came with the ask serves for what is asked now."""
        if name in self._fixed or name not in self._proposed or self._kinds.get(name) != asked.kind:
            return False
        return asked.contains(self._proposed[name])

    def _ask_for(self, name: str, asked: Distribution) -> Any:
        body = {"lease": self._lease.token, "name": name, "distribution": asked.spec()}
        reply = self._lease.client.post(self._lease.path + "/suggest", body)
        value = _external(reply["value"], asked, from_spec(reply["distribution"]))
        if not asked.contains(value):
            # An enqueued value, or one that an earlier attempt of this trial got for another range.
            warnings.warn(f"{name}={value!r} is fixed for this trial and outside of {asked}", stacklevel=5)
        return value


def _external(value: Any, asked: Distribution, given: Distribution) -> Any:
    """The value in the type that was asked for, even if it is outside of the range asked for."""
    try:
        return asked.external(value)
    except Invalid:
        if given.kind != asked.kind:
            raise InvalidDistribution(
                f"the parameter is {given.kind} in this trial and cannot be {asked.kind}"
            ) from None
        return given.external(value)
