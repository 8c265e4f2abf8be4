"""One study's routes: what is sent there and what comes back, in the wire's words."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tpeak.columns import Page
from tpeak.errors import ServerUnreachable, UnexpectedReply
from tpeak.frozen import FrozenTrial, batches, from_wire
from tpeak.wire import encode

if TYPE_CHECKING:
    from tpeak.transport import Client

PAGE = 1000
"""Trials a request reads."""

REPLAY_S = 600.0
"""How long a pruner's replay may take: some ten seconds for a million reports, more where the rule is a slow one."""


class StudyRoutes:
    """The routes of the study with this id. All methods raise as `Client.request` does."""

    def __init__(self, client: Client, study_id: str) -> None:
        self.client = client
        self.path = f"/studies/{study_id}"

    def study(self) -> dict[str, Any]:
        """The study."""
        study: dict[str, Any] = self.client.get(self.path)
        return study

    def trial(self, number: int) -> dict[str, Any]:
        """The trial."""
        trial: dict[str, Any] = self.client.get(f"{self.path}/trials/{number}")
        return trial

    def explain(self, number: int) -> dict[str, Any]:
        """How the trial came by its parameters."""
        explained: dict[str, Any] = self.client.get(f"{self.path}/trials/{number}/explain")
        return explained

    def prune_replay(self, pruner: Mapping[str, Any]) -> dict[str, Any]:
        """What a pruner of these settings would have done."""
        path = self.path + "/prune-replay"
        replayed: dict[str, Any] = self.client.post(path, {"pruner": pruner}, attempt_s=REPLAY_S)
        return replayed

    def best(self) -> dict[str, Any]:
        """The best trial."""
        trial: dict[str, Any] = self.client.get(self.path + "/best")
        return trial

    def trials(self, states: list[str]) -> Iterator[list[FrozenTrial]]:
        """All trials in these states, or in any, by number, some at a time."""
        return self._packed(states) if self.client.has("columns") else self._rows(states)

    def _packed(self, states: list[str]) -> Iterator[list[FrozenTrial]]:
        query: dict[str, str | int | Sequence[str]] = {"state": states}
        page = None
        while page is None or page.next is not None:
            begun = page
            try:
                for line in _lines(self.client.stream(self.path + "/columns", query)):
                    page = self._page(line)
                    yield page.trials()
                    if page.next is not None:
                        query["after"] = page.next
            except ServerUnreachable:
                if page is begun:
                    raise
                continue  # where it broke off
            if page is begun:
                raise ServerUnreachable(f"the reply of {self.client.url} broke off: it has no end")

    def _page(self, line: bytes) -> Page:
        try:
            return Page(json.loads(line))
        except ValueError:
            raise UnexpectedReply(
                f"{self.client.url} answered columns that cannot be read; is that a tpeak server?"
            ) from None

    def _rows(self, states: list[str]) -> Iterator[list[FrozenTrial]]:
        query: dict[str, str | int | Sequence[str]] = {"limit": PAGE, "state": states}
        while True:
            page = self.client.get(self.path + "/trials", query)
            yield [from_wire(row) for row in page["trials"]]
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def add(self, trials: list[dict[str, Any]]) -> None:
        """Add the trials, in as many requests as they need."""
        for batch in batches(trials):
            self.client.post(self.path + "/trials", _keyed(trials=batch))

    def change(self, **fields: Any) -> None:
        """Set these fields of the study."""
        self.client.request("PATCH", self.path, content=encode(_keyed(**fields)))

    def change_trial(self, number: int, **fields: Any) -> None:
        """Set these fields of the trial, or have its `action` done."""
        fields = {name: value for name, value in fields.items() if value is not None}
        self.client.request("PATCH", f"{self.path}/trials/{number}", content=encode(_keyed(**fields)))

    def delete_trial(self, number: int) -> None:
        """Have the trial forgotten."""
        self.client.request("DELETE", f"{self.path}/trials/{number}")

    def control(self, verb: str) -> None:
        """`pause`, `stop`, `cancel` or `resume` the study."""
        self.client.post(f"{self.path}/{verb}", _keyed())


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that the parts make up; what has no end is none."""
    begun: list[bytes] = []
    for part in parts:
        first, *others = part.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]


def _keyed(**fields: Any) -> dict[str, Any]:
    return {"request_id": uuid.uuid4().hex, **fields}
