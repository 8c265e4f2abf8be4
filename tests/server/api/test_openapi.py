"""The description of the service: complete, true, and readable without the internet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

ROUTES = {
    "GET /healthz": ["200"],
    "GET /readyz": ["200"],
    "GET /api/v1/meta": ["200"],
    "POST /api/v1/studies": ["200", "201"],
    "GET /api/v1/studies": ["200"],
    "GET /api/v1/studies/{study}": ["200"],
    "PATCH /api/v1/studies/{study}": ["200"],
    "DELETE /api/v1/studies/{study}": ["204"],
    "POST /api/v1/studies/{study}/pause": ["200"],
    "POST /api/v1/studies/{study}/stop": ["200"],
    "POST /api/v1/studies/{study}/cancel": ["200"],
    "POST /api/v1/studies/{study}/resume": ["200"],
    "POST /api/v1/studies/{study}/prune-replay": ["200"],
    "POST /api/v1/studies/{study}/ask": ["200"],
    "POST /api/v1/studies/{study}/trials/{number}/suggest": ["200"],
    "POST /api/v1/studies/{study}/trials/{number}/report": ["200"],
    "POST /api/v1/studies/{study}/trials/{number}/tell": ["200"],
    "POST /api/v1/studies/{study}/trials/{number}/heartbeat": ["200"],
    "POST /api/v1/studies/{study}/trials/{number}/release": ["200"],
    "POST /api/v1/studies/{study}/trials": ["201"],
    "GET /api/v1/studies/{study}/trials": ["200"],
    "GET /api/v1/studies/{study}/columns": ["200"],
    "GET /api/v1/studies/{study}/export": ["200"],
    "POST /api/v1/studies/{study}/import": ["200"],
    "GET /api/v1/studies/{study}/trials/{number}": ["200"],
    "GET /api/v1/studies/{study}/trials/{number}/explain": ["200"],
    "PATCH /api/v1/studies/{study}/trials/{number}": ["200"],
    "DELETE /api/v1/studies/{study}/trials/{number}": ["204"],
    "GET /api/v1/studies/{study}/best": ["200"],
    "POST /api/v1/workers": ["204"],
    "GET /api/v1/workers": ["200"],
}


@pytest.fixture(scope="module")
def bare(server: Any) -> httpx.Client:
    return httpx.Client(base_url=server.url)


@pytest.fixture(scope="module")
def openapi(bare: httpx.Client) -> dict[str, Any]:
    described: dict[str, Any] = bare.get("/openapi.json").raise_for_status().json()
    return described


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_is_described_with_its_good_answers(openapi: dict[str, Any]) -> None:
    good = {
        route: [status for status in operation["responses"] if status < "4"] for route, operation in operations(openapi)
    }
    assert {route: sorted(statuses) for route, statuses in good.items()} == ROUTES


def test_every_good_answer_has_a_schema_of_its_own(openapi: dict[str, Any]) -> None:
    for route, operation in operations(openapi):
        for status in ROUTES[route]:
            content = operation["responses"][status].get("content")
            if status == "204":
                assert content is None, route
            elif route == "GET /api/v1/studies/{study}/export":
                assert list(content) == ["application/x-ndjson"]
            else:
                lines = route == "GET /api/v1/studies/{study}/columns"
                assert list(content) == ["application/x-ndjson" if lines else "application/json"], route
                assert re.search(r'"#/components/schemas/\w+Reply"', json.dumps(content)), route


def test_every_route_describes_its_problems(openapi: dict[str, Any]) -> None:
    for route, operation in operations(openapi):
        assert operation["responses"].keys() - {*ROUTES[route]} == {"4XX", "5XX"}, route
        for family in ("4XX", "5XX"):
            (media_type, described), *_ = operation["responses"][family]["content"].items()
            assert media_type == "application/problem+json"
            assert described["schema"]["required"] == ["type", "title", "status", "code", "detail"]
            assert "where" in described["schema"]["properties"]


def test_what_needs_the_token_says_so(openapi: dict[str, Any]) -> None:
    assert openapi["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    open_routes = [route for route, operation in operations(openapi) if "security" not in operation]
    assert open_routes == ["GET /healthz", "GET /readyz"]


def test_every_route_has_a_sentence_and_a_place(openapi: dict[str, Any]) -> None:
    for route, operation in operations(openapi):
        assert operation["description"].endswith("."), route
        assert len(operation["tags"]) == 1, route


def test_it_holds_together(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1")
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(openapi)):
        target = openapi
        for part in reference.split("/"):
            target = target[part]
    ids = [operation["operationId"] for _, operation in operations(openapi)]
    assert len(set(ids)) == len(ids)
    for route, operation in operations(openapi):
        declared = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", route))


def test_bodies_forbid_what_they_do_not_know(openapi: dict[str, Any]) -> None:
    for route, operation in operations(openapi):
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = openapi["components"]["schemas"][reference.split("/")[-1]]
            assert schema["additionalProperties"] is False, route


def test_the_page_loads_nothing_from_elsewhere(bare: httpx.Client) -> None:
    page = bare.get("/docs").raise_for_status()
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"""["'(](?:https?:)?//[^"')]*""", page.text) == []


def test_the_assets_of_the_page_are_served_here(bare: httpx.Client) -> None:
    assets = re.findall(r'(?:href|src)="([^"]+)"', bare.get("/docs").text)
    assert sorted(assets) == [
        "/docs-assets/favicon.png",
        "/docs-assets/swagger-ui-bundle.js",
        "/docs-assets/swagger-ui.css",
    ]
    for asset in assets:
        served = bare.get(asset).raise_for_status()
        assert len(served.content) > 100, asset
        assert "@import" not in served.text or not asset.endswith(".css")


def test_there_is_one_page(bare: httpx.Client, server: Any) -> None:
    response = bare.get("/redoc", headers=server.headers)
    assert (response.status_code, response.json()["code"]) == (404, "route_not_found")
