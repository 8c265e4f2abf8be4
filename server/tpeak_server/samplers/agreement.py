"""Whether a sampler's settings agree with the study's space and objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.errors import Invalid, InvalidValue, pointer
from tpeak_server.samplers.brute_force import check_discrete
from tpeak_server.samplers.distances import check_choices


def check_space(sampler: Mapping[str, Any], space: Space | None, at: str = "/sampler") -> None:
    """Raises Invalid where a resolved sampler and the declared space contradict each other; it may lack parameters."""
    declared = space or {}
    check_choices(sampler, space, at)
    if sampler["name"] == "partial_fixed":
        _check_values(
            {n: [v] for n, v in sampler["fixed_params"].items()}, declared, f"{at}/fixed_params", listed=False
        )
        rest = {name: one for name, one in declared.items() if name not in sampler["fixed_params"]}
        check_space(sampler["base_sampler"], rest, f"{at}/base_sampler")
    elif sampler["name"] == "grid":
        _check_values(sampler["search_space"], declared, f"{at}/search_space", listed=True)
    elif sampler["name"] == "brute_force":
        for name, distribution in declared.items():
            check_discrete(name, distribution, pointer(["space", name]))


def _check_values(values: Mapping[str, list[Any]], space: Space, at: str, *, listed: bool) -> None:
    """Raises Invalid for a value that has no meaning in its parameter's range; it may lie outside."""
    for name, some in values.items():
        for index, value in enumerate(some):
            try:
                if name in space:
                    space[name].to_internal(value)
            except InvalidValue as error:
                raise Invalid(error.message, where=at + pointer([name, index] if listed else [name])) from None


def check_objectives(sampler: Mapping[str, Any], objectives: int, at: str = "/sampler") -> None:
    """Raises Invalid where a resolved sampler cannot search for that many objectives."""
    if sampler["name"] == "partial_fixed":
        check_objectives(sampler["base_sampler"], objectives, f"{at}/base_sampler")
    elif sampler["name"] == "cmaes" and objectives > 1:
        raise Invalid("CMA-ES has one objective; for several there are nsgaii and tpe", where=f"{at}/name")
