"""Every route that takes a body, with nearly right ones: taken, or refused as a problem and without a trace."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**53,
    -(2**53),
    1e308,
    5e-324,
    "",
    "NaN",
    "Infinity",
    "é\U0001f600",
    "x" * 300,
    "x" * 200_000,
    [],
    ["x"],
    [0.5] * 50,
    [1] * 11_000,
    [[]],
    {},
    {"": 1},
    {"x" * 300: 1},
    {"x" * 5000: 1},
    {"type": "float"},
    {"name": "tpe", "n_ei_candidates": 0},
]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Surrogates and NUL are for test_strict_json.
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "low", "x", "é/~"]), inner),
    max_leaves=4,
)


def test_every_route_that_takes_a_body_is_walked(server: Any, target: Any) -> None:
    described = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    taking = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in described.items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    assert target.routes == taking


def test_what_is_mutated_is_valid(target: Any, writing: str) -> None:
    assert target.send(writing, target.valid(writing)).status_code in {200, 201, 204}


def test_no_wrong_body_breaks_the_server_or_leaves_a_trace(target: Any, writing: str) -> None:
    refused = [send(target, writing, body) for body in [*WRONG, *mutants(target.valid(writing))]]
    assert sum(refused) > len(WRONG)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_taken_or_refused_as_a_problem(target: Any, writing: str, data: st.DataObject) -> None:
    body = target.valid(writing)
    path = data.draw(st.sampled_from(sorted(paths(body), key=str)))
    send(target, writing, mutated(body, path, data.draw(JSON)))


def send(target: Any, route: str, body: Any) -> bool:
    """Whether the body was refused, and then all is as it was before."""
    response: httpx.Response = target.send(route, body)
    if response.is_success:
        target.renew()
        return False
    assert response.status_code in {409, 422}, (response.status_code, str(body)[:500])
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] in {
        "invalid_request",
        "invalid_distribution",
        "invalid_value",
        "request_id_reused",
        "lease_lost",
        "study_exists",
    }
    assert "the database" not in problem["detail"], "a value that no column holds is refused before it gets there"
    assert len(response.content) < 2000, "a problem repeats no more of the body than helps"
    assert problem.get("where", "")[:1] in {"", "/"}
    assert target.now_stored() == target.stored, str(body)[:500]
    return True


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in the body, from the inside out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*here, key))
        yield (*here, key)


def mutants(body: dict[str, Any]) -> Iterator[Any]:
    """The body with each of its parts wrong, without it, and with something unknown beside it."""
    for path in paths(body):
        yield from (mutated(body, path, value) for value in WRONG)
        without = copy.deepcopy(body)
        del inside(without, path[:-1])[path[-1]]
        yield without
        beside = copy.deepcopy(body)
        parent = inside(beside, path[:-1])
        if isinstance(parent, dict):
            parent["unknown/~"] = 1
        yield beside


def mutated(body: dict[str, Any], path: Any, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    parent = inside(changed, path[:-1])
    parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = value
    return changed


def inside(body: Any, path: Any) -> Any:
    for key in path:
        body = body[int(key) if isinstance(body, list) else key]
    return body
