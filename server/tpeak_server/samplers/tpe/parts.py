"""Which parameters are drawn jointly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import View
from tpeak_server.samplers.tpe.rules import Rules


class Arguments(Protocol):
    """The arguments of a sampler that decide it."""

    multivariate: bool | None
    group: bool
    rules: Rules


def parts_of(
    view: View, space: Space, given: Mapping[str, float], arguments: Arguments
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The purpose of the stream, and the names, of each part of the space that is drawn jointly.

    All parameters are one part, the given ones included, or with `multivariate=False` each one that is not given is one
    by itself. The reference does as Optuna does: without `group` the parameters that every trial has are one part, and
    each other one is drawn by itself; with it, those that always appear together are one. Nothing conditions them.
    """
    free = sorted(name for name in space if name not in given)
    joint = arguments.multivariate if arguments.multivariate is not None else view.loss.shape[1] == 1
    if not arguments.rules.reference and joint:
        yield "joint", tuple(sorted(space))
    elif not joint and not arguments.group:
        yield from ((name, (name,)) for name in free)
    else:
        yield from _optunas(view, [name for name in free if not space[name].single], grouped=arguments.group)
        yield from ((name, (name,)) for name in free if space[name].single)


def _optunas(view: View, names: list[str], *, grouped: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The groups of names with the same presence in all trials, or those that are always there and each other one.

    What no trial has is by itself, too.
    """
    groups: dict[bytes, list[str]] = {}
    for name in names:
        present = ~np.isnan(view.columns[name])
        together = present.any() and (grouped or present.all())
        groups.setdefault(present.tobytes() if together else name.encode(), []).append(name)
    for group in groups.values():
        yield "joint" if len(group) > 1 else group[0], tuple(group)
