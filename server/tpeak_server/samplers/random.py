"""Independent uniform draws: logarithmic where the range is, on the grid where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.samplers.fresh import Fresh
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.seam import Stream


class RandomSampler:
    """Every value of a range is as likely as every other; nothing is learned.

    With `deduplicate` no point of a discrete space is drawn twice.
    """

    version = "random-2"

    def __init__(self, *, deduplicate: bool = True) -> None:
        self._fresh = Fresh(deduplicate=deduplicate)

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws one point a stream; see the seam."""
        given = fixed or {}
        return self._fresh.suggest(
            view, space, pending, streams, given,
            lambda _, some: draw_uniform(space, some, given, origin="random"),
        )  # fmt: skip


def draw_uniform(
    space: Space, streams: Sequence[Stream], fixed: Mapping[str, float], *, origin: str
) -> list[Suggestion]:
    """One uniform point of the space a stream, without the fixed names."""
    layout = layout_of(space)
    suggestions = []
    for stream in streams:
        values = layout.values(layout.uniform(stream("joint").random(layout.dimensions)))
        drawn = {name: value for name, value in values.items() if name not in fixed}
        suggestions.append(Suggestion(values=drawn, origin=origin))
    return suggestions
