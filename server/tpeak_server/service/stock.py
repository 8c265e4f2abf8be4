"""Points drawn beyond what a group of asks wanted: the next groups' are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpeak_server.samplers.seam import Sampler
from tpeak_server.service.prepared import Point, Prepared
from tpeak_server.service.scenes import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The spare points of `group`, drawn with its own and in sight of them.

    They are what would be drawn for their numbers later on, as long as the scene stays and every point of `group` is
    taken: a point depends on nothing but its number, the scene and the points before it.
    """

    sampler: Sampler
    scene: Scene
    group: Prepared

    def points(self, sampler: Sampler, scene: Scene, first: int, in_flight: Sequence[Prepared]) -> Sequence[Point]:
        """Those for the numbers from `first` on: none where it is not sure that they would be drawn the same."""
        drawn = self.scene
        same = scene.seq == drawn.seq and scene.view is drawn.view and scene.space == drawn.space
        if not same or sampler is not self.sampler or first != self.group.end:
            return ()
        # What is in flight may yet be taken; if it is not, nor are these: see Prepared.in_vain.
        taken = self.group.used_up or any(one is self.group for one in in_flight)
        return self.group.spare if taken else ()
