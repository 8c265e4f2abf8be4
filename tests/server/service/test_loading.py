"""A cold study: the cache that is put together from its rows is the one that followed them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.server.service.conftest import Service, Study
from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.study import from_path
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.storage import history as storage

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}


def loaded(study: Study) -> tuple[History, History]:
    """The study's cache in the first replica, and one that is made anew."""
    replica, study_id = study.service.replicas[0], from_path(study.id)
    assert study_id is not None

    async def load() -> History:
        async with replica.database.reading() as connection:
            return await load_history(connection, study_id)

    kept = replica._batchers[study_id].history
    assert kept is not None
    return kept, study.service.run(load())


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_study_is_the_same_whatever_the_pages_it_is_read_in(
    service: Service, make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(storage, "PAGE", page)
    study = make_study(pruner={"name": "median", "n_startup_trials": 1})
    for value in (0.3, 0.1):
        trial = study.trial()
        study.report(trial, 1, value)
        study.tell(trial, values=[value])
    pruned = study.trial()
    study.report(pruned, 1, 0.9)
    study.tell(pruned, "pruned")
    study.tell(study.trial(), "failed")
    running = study.trial()
    study.report(running, 4, 0.2)
    kept, made = loaded(study)
    assert (made.clock, made.counts) == (kept.clock, kept.counts)
    assert {number: dict(record.curve) for number, record in made.unfinished.items()} == {4: {4: (0.2,)}}
    before, after = kept.view(SPACE), made.view(SPACE)
    assert after.numbers.tolist() == [0, 1, 2]
    for name in ("outcome", "loss", "last_loss"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_array_equal(after.columns["x"], before.columns["x"])
    assert [*made.curves.losses_at(1)] == [0.1, 0.3]
    assert [*made.curves.reached(1, without=9)] == [0.1, 0.2, 0.3, 0.9]


def test_a_study_without_trials_has_no_pages(make_study: Callable[..., Study]) -> None:
    study = make_study()
    assert study.ask(count=1, distributions={})[0]["number"] == 0
    kept, made = loaded(study)
    assert made.clock == kept.clock
