"""Latin hypercube designs: the first points of a study cover every parameter evenly (McKay et al. 1979).

Of `size` points with consecutive numbers each lies in another one of the `size` equal parts of every parameter's range;
which part goes with which is random. So the choices of a categorical are met about equally often, too. A parameter's
parts depend on its name alone, and not on which other ones there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Suggestion
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.seam import Stream


def draw_latin(
    space: Space, streams: Sequence[Stream], fixed: Mapping[str, float], size: int, *, origin: str
) -> list[Suggestion]:
    """One point of the space a stream, without the fixed names; after `size` points another design begins."""
    layout = layout_of(space)
    names = [*layout.numeric_names, *layout.categorical_names]
    suggestions = []
    for stream in streams:
        parts = np.array([_part(stream, name, size) for name in names], dtype=np.float64)
        values = layout.values(layout.uniform((parts + stream("joint").random(len(names))) / size))
        drawn = {name: value for name, value in values.items() if name not in fixed}
        suggestions.append(Suggestion(values=drawn, origin=origin))
    return suggestions


def _part(stream: Stream, name: str, size: int) -> int:
    """Which part of the parameter's range the point lies in."""
    design, place = divmod(stream.number, size)
    return int(stream.of_study(f"{design} {name}").permutation(size)[place])
