"""Two servers and a model of one study say the same to every program of requests, faults and time.

The short form; `python -m tests.model` is the long one, the second half of `make chaos`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.model.mutants import MUTANTS, Patch
from tests.model.running import run
from tests.model.world import World

SEED = 1
PROGRAMS = 60
MUST_HAPPEN = ("together", "replays", "unavailable", "lease_lost", "expiries", "amnesties")
DIFFERENCE = "must be|was answered|no order explains|logged as an error|the best trial is|deleted is"
"""What is said where the servers and the model disagree, and not where the test itself breaks."""


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    yield world
    world.close()


def test_the_servers_and_the_model_agree(world: World) -> None:
    counts: Counter[str] = Counter()
    # The programs of one seed change with the code that they run; where one never comes to something, the next does.
    for seed in range(SEED, SEED + 3):
        counts += run(world, seed, PROGRAMS)
        if all(counts[what] > 0 for what in MUST_HAPPEN):
            break
    assert counts["programs"] >= PROGRAMS
    assert [what for what in MUST_HAPPEN if not counts[what]] == []


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_model_finds_a_planted_bug(world: World, mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    with pytest.raises(Exception, match=DIFFERENCE):
        run(world, SEED, PROGRAMS, shrink=False)
