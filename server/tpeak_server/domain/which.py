"""Which trials of a study a reader means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tpeak_server.domain.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Trials above the number `after`, in these states or any, changed after `since_seq` or ever."""

    after: int = -1
    states: Sequence[str] | None = None
    since_seq: int | None = None
    min_seq: int = 0

    def beyond(self, after: int) -> Which:
        """The same from another number on."""
        return replace(self, after=after)

    def check(self, seq: int) -> None:
        """Raises DatabaseUnavailable where what is read ends before `min_seq`: a standby that lags behind."""
        if seq < self.min_seq:
            raise DatabaseUnavailable(f"the study is read at seq {seq}, before {self.min_seq}; try again")
