"""Some parameters fixed, the others drawn by another sampler in sight of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.errors import Invalid, InvalidValue, pointer
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.domain.settings import shown
from tpeak_server.samplers.grid import check_value
from tpeak_server.samplers.seam import NOTHING_LEFT, Explains, Explanation, Sampler, Stream, Walks, without_reasons


class PartialFixedSampler:
    """`fixed_params` are external values by name; like enqueued ones they are taken even out of range."""

    def __init__(self, *, fixed_params: Mapping[str, Any], base_sampler: Sampler) -> None:
        self._fixed = fixed_params
        self.base = base_sampler.holding(fixed_params) if isinstance(base_sampler, Walks) else base_sampler
        self.walks = isinstance(base_sampler, Walks) and base_sampler.walks
        self.version = f"partial-fixed-1 {base_sampler.version}"

    def holding(self, values: Mapping[str, Any]) -> PartialFixedSampler:
        """The same with these values fixed, too."""
        return PartialFixedSampler(fixed_params={**values, **self._fixed}, base_sampler=self.base)

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """The fixed values with what the other sampler draws beside them; see the seam."""
        late = streams[0].parameter if streams else ""
        if late in self._fixed:
            return [Suggestion(values={late: space[late].to_internal(self._fixed[late])}, origin="fixed")]
        own = {} if late else self._own(space, fixed or {})
        drawn = self.base.suggest(view, space, pending, streams, fixed={**(fixed or {}), **own})
        return [self._joined(one, own) for one in drawn]

    def explain(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        stream: Stream,
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> Explanation:
        """The other sampler's reasons, if it gives any; see the seam."""
        if not isinstance(self.base, Explains) or stream.parameter in self._fixed:
            drawn = self.suggest(view, space, pending, [stream], fixed=fixed)
            return without_reasons(drawn[0] if drawn else NOTHING_LEFT)
        own = self._own(space, fixed or {})
        found = self.base.explain(view, space, pending, stream, fixed={**(fixed or {}), **own})
        return replace(
            found,
            suggestion=self._joined(found.suggestion, own),
            candidates=[{**candidate, **own} for candidate in found.candidates],
        )

    def _own(self, space: Space, given: Mapping[str, float]) -> dict[str, float]:
        """The fixed values, internal, as far as the space has them; what means nothing there is refused later.

        A sampler that walks has its own in order: what it has not come to yet is taken when it is asked for.
        """
        own: dict[str, float] = {}
        if self.walks:
            return own
        for name, value in self._fixed.items():
            if name in space and name not in given:
                try:
                    own[name] = space[name].to_internal(value)
                except InvalidValue:
                    continue
        return own

    def _joined(self, drawn: Suggestion, own: Mapping[str, float]) -> Suggestion:
        values = {**own, **drawn.values}
        if not self.walks:
            values = {name: value for name, value in values.items() if name in own or name not in self._fixed}
        later = {name: value for name, value in self._fixed.items() if name not in values}
        return replace(drawn, values=values, fixed={**drawn.fixed, **later})


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A setting that maps parameters to values."""

    name: str
    default: None = None
    optional: bool = False

    def checked(self, value: object, where: str) -> dict[str, Any]:
        """The values by name. Raises Invalid, which points at what is wrong."""
        if not isinstance(value, Mapping):
            raise Invalid(f"{self.name} must map parameters to values, got {shown(value)}", where=where)
        for name, one in value.items():
            check_value(one, where + pointer([name]))
        return dict(value)
