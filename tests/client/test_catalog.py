import re

import pytest

import tpeak
from tpeak.errors import InvalidValue, StudyExists, StudyNotFound

CREATED = {"created": True, "differences": []}


@pytest.fixture
def creating(server, study_of):
    server.on("POST", "/studies", (201, CREATED | {"study": study_of()}))


def test_only_what_is_given_is_sent(creating, server, connection):
    study = tpeak.create_study(storage=connection, study_name="digits")
    assert study.study_name == "digits"
    (body,) = server.bodies("/studies")
    assert len(body.pop("request_id")) == 32
    assert body == {"name": "digits", "if_exists": "error"}


def test_everything_that_is_given_is_sent(creating, server, connection):
    tpeak.create_study(
        storage=connection,
        study_name="digits",
        direction="maximize",
        load_if_exists=True,
        sampler=tpeak.samplers.TPESampler(n_startup_trials=3, seed=7),
        pruner=tpeak.pruners.NopPruner(),
        max_trials=100,
        timeout=60.0,
        lease_seconds=30.0,
        max_attempts=2,
        space={"x": tpeak.FloatDistribution(0, 1)},
        user_attrs={"a": 1},
        tags=["t"],
        note="n",
        stop_when=tpeak.StopWhen(target=0.5, patience=20),
    )
    (body,) = server.bodies("/studies")
    del body["request_id"]
    assert body == {
        "name": "digits",
        "if_exists": "load",
        "directions": ["maximize"],
        "sampler": {"name": "tpe", "n_startup_trials": 3},
        "seed": 7,
        "pruner": {"name": "nop"},
        "max_trials": 100,
        "timeout_s": 60.0,
        "lease_seconds": 30.0,
        "max_attempts": 2,
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "user_attrs": {"a": 1},
        "tags": ["t"],
        "note": "n",
        "stop_when": {"target": [0.5], "patience": 20},
    }


def test_a_name_is_made_up_where_none_is_given(creating, server, connection):
    tpeak.create_study(storage=connection)
    assert re.fullmatch(r"no-name-[0-9a-f-]{36}", server.bodies("/studies")[0]["name"])


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"direction": "minimize"}, ["minimize"]),
        ({"direction": tpeak.StudyDirection.MAXIMIZE}, ["maximize"]),
        ({"directions": ["minimize", tpeak.StudyDirection.MAXIMIZE]}, ["minimize", "maximize"]),
    ],
)
def test_directions_are_words_or_members(creating, server, connection, arguments, sent):
    tpeak.create_study(storage=connection, **arguments)
    assert server.bodies("/studies")[0]["directions"] == sent


@pytest.mark.parametrize(
    "arguments",
    [
        {"direction": "minimize", "directions": ["minimize"]},
        {"direction": "up"},
        {"direction": 1},
        {"directions": []},
        {"directions": "minimize"},
    ],
)
def test_directions_that_are_none_are_value_errors(connection, server, arguments):
    with pytest.raises(ValueError, match="direction"):
        tpeak.create_study(storage=connection, **arguments)
    assert server.sent == []


def test_another_librarys_sampler_is_refused(connection):
    with pytest.raises(TypeError, match=r"sampler must be one of tpeak\.samplers"):
        tpeak.create_study(storage=connection, sampler=object())


def test_settings_that_differ_are_named_and_the_stored_ones_stand(server, connection, study_of):
    difference = {"field": "directions", "stored": ["minimize"], "asked": ["maximize"]}
    server.on("POST", "/studies", {"study": study_of(), "created": False, "differences": [difference]})
    with pytest.warns(UserWarning, match=r"'digits' keeps its directions \['minimize'\]; \['maximize'\] was asked for"):
        study = tpeak.create_study(storage=connection, study_name="digits", direction="maximize", load_if_exists=True)
    assert study.direction == "minimize"


def test_a_taken_name_is_a_duplicated_study(server, connection, refusal):
    server.on("POST", "/studies", refusal(409, "study_exists"))
    with pytest.raises(tpeak.exceptions.DuplicatedStudyError, match=r"'digits' already.*load_if_exists=True") as caught:
        tpeak.create_study(storage=connection, study_name="digits")
    assert type(caught.value) is StudyExists


def test_a_study_is_loaded_by_its_name(server, connection, study_of):
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})
    assert tpeak.load_study(study_name="digits", storage=connection).study_name == "digits"
    assert server.requests[0].url.query == b"name=digits"


def test_an_unknown_name_is_a_key_error(server, connection):
    server.on("GET", "/studies", {"studies": [], "next": None})
    with pytest.raises(KeyError, match="no study named 'digits'") as caught:
        tpeak.load_study(study_name="digits", storage=connection)
    assert type(caught.value) is StudyNotFound


def test_the_only_study_needs_no_name(server, connection, study_of):
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})
    assert tpeak.load_study(study_name=None, storage=connection).study_name == "digits"
    server.on("GET", "/studies", {"studies": [study_of(), study_of(name="other")], "next": None})
    with pytest.raises(InvalidValue, match="has 2 studies"):
        tpeak.load_study(study_name=None, storage=connection)


def test_a_loaded_study_keeps_the_objective_that_its_pruner_looks_at(server, connection, study_of, recwarn):
    pruner = tpeak.pruners.WilcoxonPruner()
    for stored in (pruner.wire(), {**pruner.wire(), "objective": None}):
        server.on("GET", "/studies", {"studies": [study_of(pruner=stored)], "next": None})
        tpeak.load_study(study_name="digits", storage=connection, pruner=pruner)
    assert not recwarn.list
    server.on("GET", "/studies", {"studies": [study_of(pruner={**pruner.wire(), "objective": 1})], "next": None})
    with pytest.warns(UserWarning, match="keeps its pruner"):
        tpeak.load_study(study_name="digits", storage=connection, pruner=pruner)


def test_a_loaded_study_keeps_its_sampler_and_pruner(server, connection, study_of, recwarn):
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})
    sampler = tpeak.samplers.TPESampler()
    tpeak.load_study(study_name="digits", storage=connection, sampler=sampler, pruner=tpeak.pruners.NopPruner())
    assert not recwarn.list
    with pytest.warns(UserWarning, match="keeps its pruner"):
        tpeak.load_study(study_name="digits", storage=connection, pruner=tpeak.pruners.MedianPruner())
    for sampler in (
        tpeak.samplers.TPESampler(n_startup_trials=3),
        tpeak.samplers.TPESampler(reference="optuna5"),
        tpeak.samplers.RandomSampler(),
    ):
        with pytest.warns(UserWarning, match="keeps its sampler"):
            tpeak.load_study(study_name="digits", storage=connection, sampler=sampler)


def test_a_default_differs_from_what_was_set(server, connection, study_of):
    stored = {"name": "tpe", "n_startup_trials": 3, "group": True}
    server.on("GET", "/studies", {"studies": [study_of(sampler=stored)], "next": None})
    with pytest.warns(UserWarning, match="keeps its sampler"):
        tpeak.load_study(study_name="digits", storage=connection, sampler=tpeak.samplers.TPESampler())


def test_a_study_is_deleted_by_its_name(server, connection, study_of):
    server.on("GET", "/studies", {"studies": [study_of()], "next": None})
    server.on("DELETE", "/studies/s1", (204, None))
    tpeak.delete_study(study_name="digits", storage=connection)
    assert server.paths() == ["GET /studies", "DELETE /studies/s1"]


def test_all_names_are_listed_over_all_pages(server, connection, study_of):
    pages = [
        {"studies": [study_of(name="a"), study_of(name="b")], "next": "b"},
        {"studies": [study_of(name="c")], "next": None},
    ]
    server.on("GET", "/studies", *pages)
    assert tpeak.get_all_study_names(connection) == ["a", "b", "c"]
    assert [request.url.query for request in server.requests] == [b"limit=100", b"limit=100&after=b"]


def test_studies_to_learn_from_are_named_by_their_ids(creating, server, connection, study):
    server.on("GET", "/studies", {"studies": [{"id": "s2"}]})
    named = tpeak.WarmStart("older", params={"lr": "learning_rate"}, weight=0.5)
    tpeak.create_study(storage=connection, study_name="digits", warm_start=[study, "older", named])
    body = server.bodies("/studies")[-1]
    assert body["warm_start"] == [
        {"study": "s1"},
        {"study": "s2"},
        {"study": "s2", "params": {"lr": "learning_rate"}, "weight": 0.5},
    ]


def test_a_study_to_learn_from_must_be_there(creating, server, connection):
    server.on("GET", "/studies", {"studies": []})
    with pytest.raises(StudyNotFound, match="'older'"):
        tpeak.create_study(storage=connection, warm_start=["older"])


@pytest.mark.parametrize("weight", [0.0, -1.0, 10.5, float("nan")])
def test_the_weight_of_a_study_to_learn_from_is_within_bounds(weight):
    with pytest.raises(InvalidValue, match="weight"):
        tpeak.WarmStart("older", weight=weight)
