"""What samplers see: the history at a seq, and what is pending beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.observations import Floats, View
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.service.commands import Suggest
from tpeak_server.service.history import History, translated
from tpeak_server.service.prepared import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a sampler sees for one space: the view as of one seq, when `first` was the next number, and as pending what
    ran then and every number from there up to `next`. It is over once more than `forgotten` was forgotten.
    """

    seq: int
    first: int
    next: int
    forgotten: int
    space: Mapping[str, Distribution]
    view: View
    pending: Mapping[str, Floats]

    @property
    def cells(self) -> int:
        """How large the history is: its trials times the parameters of the space."""
        return len(self.view.numbers) * len(self.space)


def space_of(
    study: Study, current: Mapping[str, Interned], distributions: Mapping[str, Distribution]
) -> dict[str, Distribution]:
    """The space of an ask: what the study declares, what its trials were last given, what the ask adds."""
    seen = {name: interned.distribution for name, interned in current.items()}
    return {**(study.space or {}), **seen, **distributions}


def scene_of(history: History, space: Mapping[str, Distribution]) -> Scene:
    """What a sampler sees of the study as of the cache."""
    return Scene(
        seq=history.clock.seq,
        first=history.clock.next_number,
        next=history.clock.next_number,
        forgotten=history.forgotten,
        space=space,
        view=history.view(space),
        pending=history.pending(space),
    )


def walkers_scene(history: History, space: Mapping[str, Distribution]) -> Scene:
    """What a sampler sees that must see every trial."""
    scene = scene_of(history, space)
    return replace(scene, view=replace(scene.view, tried=history.tries()))


def known_values(record: TrialRecord, interned: Mapping[int, Interned], wanted: str) -> dict[str, float]:
    """What the trial has fixed already, by name, in internal values; the wanted name aside."""
    return {name: value for name, (_, value) in record.known(interned).items() if name != wanted}


def late_scene(history: History, record: TrialRecord, suggest: Suggest, known: Mapping[str, float]) -> Scene:
    """What a sampler sees for one late parameter: its space is what the trial has, and that parameter."""
    ids = record.known(history.interned)
    space = {name: history.interned[ids[name][0]].distribution for name in known}
    return scene_of(history, {**space, suggest.name: suggest.distribution})


def with_points(scene: Scene, points: Sequence[Point]) -> Mapping[str, Floats]:
    """The scene's pending trials followed by these points, which are on their way to become trials."""
    if not points:
        return scene.pending
    proposed = [{name: (point.distribution(name), value) for name, value in point.values.items()} for point in points]
    return _beside(scene, proposed)


def with_created(
    scene: Scene, created: Sequence[TrialRecord], interned: Mapping[int, Interned]
) -> Mapping[str, Floats]:
    """As the cache will have them: `History.proposed_since`."""
    trials = [record.trial for record in created]
    proposed = [
        {interned[i].name: (interned[i].distribution, value) for i, value in trial.proposed.items()}
        for trial in trials
        if trial.sampled_at_seq is not None and not trial.deleted
    ]
    return _beside(scene, proposed) if proposed else scene.pending


def _beside(scene: Scene, proposed: Sequence[Mapping[str, tuple[Distribution, float]]]) -> Mapping[str, Floats]:
    """The scene's pending trials followed by others, of which the internal value and its distribution are given."""
    return {
        name: np.append(
            column, [translated(scene.space[name], *one[name]) if name in one else np.nan for one in proposed]
        )
        for name, column in scene.pending.items()
    }
