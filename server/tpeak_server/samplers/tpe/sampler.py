"""The sampler: random points at first, then the best of some candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.samplers.distances import Distance
from tpeak_server.samplers.fresh import Fresh
from tpeak_server.samplers.latin import draw_latin
from tpeak_server.samplers.random import draw_uniform
from tpeak_server.samplers.seam import NOTHING_LEFT, Explanation, Stream, without_reasons
from tpeak_server.samplers.tpe.bandwidth import BandwidthRule
from tpeak_server.samplers.tpe.draw import Drawing, uniforms_of
from tpeak_server.samplers.tpe.model import Memo, fit
from tpeak_server.samplers.tpe.parts import parts_of
from tpeak_server.samplers.tpe.rules import OPTUNA5, OWN, Rules
from tpeak_server.samplers.tpe.split import finished
from tpeak_server.samplers.tpe.warm import startup_trials

AT_ONCE = 16
"""Suggestions whose candidates are computed together: more would only need memory."""

FEW_CANDIDATES = 64
"""With more of them the candidates are what takes the time, however many points are computed together."""


class TPESampler:
    """Multivariate TPE that sees pending trials.

    While fewer than `n_startup_trials` are complete or pruned, points fill the space evenly; after that each is the
    best of some candidates. The arguments are those of Optuna 5.0's, and `categorical_distance`;
    `reference="optuna5"` makes the densities its, too. With `deduplicate`, by
    default without a reference, no point of a discrete space is proposed twice, and an exhausted one has none left.
    """

    version = "tpe-5"

    def __init__(
        self,
        *,
        n_startup_trials: int = 10,
        n_ei_candidates: int | None = None,
        multivariate: bool | None = None,
        group: bool = False,
        constant_liar: bool = True,
        prior_weight: float | None = None,
        consider_magic_clip: bool = True,
        consider_endpoints: bool = False,
        reference: str | None = None,
        categorical_distance: Mapping[str, Distance] | None = None,
        deduplicate: bool | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.n_startup_trials = n_startup_trials
        self.multivariate = multivariate
        self.group = group
        self.constant_liar = constant_liar
        self.rules = _with_arguments(
            rules or (OPTUNA5 if reference == "optuna5" else OWN),
            n_ei_candidates, prior_weight, clip=consider_magic_clip, endpoints=consider_endpoints,
        )  # fmt: skip
        self.rules = replace(self.rules, distances=categorical_distance or {})
        self.n_ei_candidates = self.rules.n_candidates
        self._memo = Memo(self.rules)
        self._fresh = Fresh(deduplicate=not self.rules.reference if deduplicate is None else deduplicate)

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws one point a stream; see the seam. A fixed value that its range does not hold conditions nothing."""
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        return self._fresh.suggest(
            view, space, pending, streams, given,
            lambda pending, some: self._draw(view, space, pending, some, given),
        )  # fmt: skip

    def _draw(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        given: Mapping[str, float],
    ) -> list[Suggestion]:
        if finished(view) < self._startup_trials(view):
            return self._startup(space, streams, given)
        found: list[dict[str, float]] = [{} for _ in streams]
        for purpose, names in parts_of(view, space, given, self):
            part = {name: space[name] for name in names}
            seen = {name: pending[name] for name in part}
            drawing = self._drawing(view, part, seen, given)
            for start in range(0, len(streams), self._at_once):
                if start and self._at_once == 1:
                    drawing = self._drawing(view, part, seen, given)
                chunk = [stream(purpose) for stream in streams[start : start + self._at_once]]
                uniforms = [uniforms_of(drawing.model, self.rules, generator) for generator in chunk]
                for values, drawn in zip(found[start:], drawing.draw(uniforms), strict=False):
                    values.update(drawn)
                    if self._at_once == 1:
                        seen = {name: np.append(column, drawn[name]) for name, column in seen.items()}
        return [_suggestion(values, given) for values in found]

    def batches(self, view: View, space: Space) -> bool:
        """Whether the candidates of several points are computed together, and none is likely to be replaced."""
        model = self._memo.known(view, space)
        together = self._at_once > 1 and self.n_ei_candidates <= FEW_CANDIDATES and view.tried is None
        return together and model is not None and not model.structure.levels

    def explain(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        stream: Stream,
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> Explanation:
        """The suggestion for this stream, drawn again, and why; see the seam.

        Where several parts were drawn by themselves, there are no candidates for the whole.
        """
        suggestions = self.suggest(view, space, pending, [stream], fixed=fixed)
        if not suggestions:
            return without_reasons(NOTHING_LEFT)
        (suggestion,) = suggestions
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        candidates: list[dict[str, float]] = []
        scores = np.empty(0)
        good: dict[str, float] = {}
        bad: dict[str, float] = {}
        parts = [] if suggestion.origin == "startup" else list(parts_of(view, space, given, self))
        for purpose, names in parts:
            drawing = self._drawing(view, {name: space[name] for name in names}, pending, given)
            drawn = {name: suggestion.values[name] for name in names if name in suggestion.values}
            for name, densities in drawing.marginals(drawn).items():
                good[name], bad[name] = densities
            if len(parts) == 1:
                uniforms = uniforms_of(drawing.model, self.rules, stream(purpose))
                found, scores = drawing.weighed(uniforms)
                candidates = [{name: one[name] for name in drawn} for one in found]
        chosen = next((at for at, candidate in enumerate(candidates) if candidate == suggestion.values), None)
        return Explanation(
            suggestion=suggestion, candidates=candidates, scores=scores, chosen=chosen, good=good, bad=bad
        )

    def log_ratio(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        points: Mapping[str, Floats],
        fixed: Mapping[str, float] | None = None,
    ) -> Floats:
        """What a candidate is judged by: log l - log g (c,) at the points' internal values (c,) by name."""
        total = np.zeros(len(next(iter(points.values()))))
        for _, names in parts_of(view, space, fixed or {}, self):
            drawing = self._drawing(view, {name: space[name] for name in names}, pending, {})
            total += drawing.log_ratio(drawing.model.points({name: points[name] for name in names}))
        return total

    def _startup(self, space: Space, streams: Sequence[Stream], given: Mapping[str, float]) -> list[Suggestion]:
        if self.rules.latin_start:
            return draw_latin(space, streams, given, self.n_startup_trials, origin="startup")
        return draw_uniform(space, streams, given, origin="startup")

    def _startup_trials(self, view: View) -> int:
        return self.n_startup_trials if self.rules.reference else startup_trials(view.warm, self.n_startup_trials)

    @property
    def _at_once(self) -> int:
        """A drawing goes on beside its own suggestions; where that changes the densities, or is unwanted, it ends."""
        return AT_ONCE if self.constant_liar and not self.rules.reference else 1

    def _drawing(self, view: View, space: Space, pending: Mapping[str, Floats], given: Mapping[str, float]) -> Drawing:
        seen = {name: pending[name] for name in space} if self.constant_liar else {}
        if self.rules.reference:
            return Drawing(fit(view, space, self.rules, seen), self.rules, {}, given)
        return Drawing(self._memo.model(view, space), self.rules, seen, given)


def _with_arguments(
    rules: Rules, n_ei_candidates: int | None, prior_weight: float | None, *, clip: bool, endpoints: bool
) -> Rules:
    def bounded(rule: BandwidthRule) -> BandwidthRule:
        return replace(rule, clip=rule.clip and clip, endpoints=rule.endpoints or endpoints)

    return replace(
        rules,
        n_candidates=n_ei_candidates or rules.n_candidates,
        prior_weight=prior_weight or rules.prior_weight,
        good_bandwidth=bounded(rules.good_bandwidth),
        bad_bandwidth=bounded(rules.bad_bandwidth),
    )


def _suggestion(values: Mapping[str, float], given: Mapping[str, float]) -> Suggestion:
    return Suggestion(values={name: value for name, value in values.items() if name not in given}, origin="tpe")
