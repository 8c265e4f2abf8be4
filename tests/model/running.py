"""Runs programs against the model, and says what happened in them."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from tests.model.answers import Differs
from tests.model.machine import StudyMachine
from tests.model.world import World

STEPS = 50
"""Operations of a program."""

CHUNK = 25
"""Programs of one seed: a failure is found again by running that many."""


def run(world: World, seed_: int, programs: int, *, shrink: bool = True) -> Counter[str]:
    """What happened in that many programs. Raises what the first that fails raises, with the program in its notes."""
    StudyMachine.world, StudyMachine.counts, StudyMachine.failure = world, Counter(), ""
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    how = settings(
        max_examples=programs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
        verbosity=Verbosity.normal,
        suppress_health_check=list(HealthCheck),
    )
    seed(seed_)(StudyMachine)
    try:
        run_state_machine_as_test(StudyMachine, settings=how)
    except Flaky as flaky:
        raise Differs(f"it does not happen each time: {StudyMachine.failure}") from flaky
    return StudyMachine.counts
