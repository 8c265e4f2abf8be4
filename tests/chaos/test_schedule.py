"""The plan of faults: what is promised is in it, and a seed gives the same one again."""

from __future__ import annotations

import random
from collections import Counter

from tests.chaos.schedule import CUTS, GROUPS, plan


def test_a_full_run_has_all_the_faults_that_it_should_have() -> None:
    faults = plan(random.Random(7), 180.0, GROUPS, 60)
    kinds = Counter(fault.kind for fault in faults)

    assert {kind: kinds[kind] for kind in kinds if kind not in CUTS} == {
        "server SIGKILL": 6, "server SIGSTOP": 2, "rolling SIGTERM": 2, "PostgreSQL immediate": 2, "PostgreSQL fast": 2,
        "backend SIGKILL": 2, "terminate all": 3,
    }  # fmt: skip
    assert sum(kinds[kind] for kind in set(CUTS)) == 60
    assert all(0 < fault.at_s < 180 for fault in faults)


def test_a_seed_gives_the_same_plan_again_and_another_one_another() -> None:
    assert plan(random.Random(7), 180.0, GROUPS, 60) == plan(random.Random(7), 180.0, GROUPS, 60)
    assert plan(random.Random(7), 180.0, GROUPS, 60) != plan(random.Random(8), 180.0, GROUPS, 60)
