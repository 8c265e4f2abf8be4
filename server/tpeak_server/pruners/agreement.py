"""Whether a rule's settings agree with the study's objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpeak_server.domain.errors import Invalid


def check_objective(pruner: Mapping[str, Any], objectives: int) -> None:
    """Raises Invalid where a resolved pruner names an objective that the study does not have."""
    named = pruner.get("objective")
    if named is not None and named >= objectives:
        there = "0 alone" if objectives == 1 else f"0 to {objectives - 1}"
        raise Invalid(f"the study has the objectives {there}, not {named}", where="/pruner/objective")
