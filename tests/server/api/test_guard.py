"""Nobody without the token learns anything: not even which routes there are."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

REFUSAL = {
    "type": "about:blank",
    "title": "Unauthorized",
    "status": 401,
    "code": "unauthorized",
    "detail": "this needs the server's token: send it as `Authorization: Bearer <token>` (TPEAK_TOKEN for the client)",
}

PUBLIC = {"/healthz", "/readyz"}

UNKNOWN = [
    "/",
    "/api",
    "/api/v1",
    "/api/v1/nothing",
    "/api/v1/studies/",
    "/api/v1/studies/0000000000000/trials/99999999999/tell",
    "/api/v2/studies",
    "/docs/",
    "/docs/oauth2-redirect",
    "/docs-assets",
    "/redoc",
    "/healthz/",
    "//healthz",
    "/HEALTHZ",
    "/openapi.json/x",
    "/docs/../api/v1/meta",
    "/api/v1/studies/%2e%2e/healthz",
]


@pytest.fixture
def bare(server: Any) -> httpx.Client:
    """A client without a token."""
    return httpx.Client(base_url=server.url)


@pytest.fixture
def routes(bare: httpx.Client) -> list[str]:
    """The path of every route, for the first trial of a study that is not there."""
    described = bare.get("/openapi.json").json()["paths"]
    return [path.format(study="0000000000000", number=0) for path in described]


def wrong_headers(token: str) -> list[dict[str, str]]:
    return [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": f"Bearer {token.upper()}"},
        {"Authorization": f"Bearer {token} {token}"},
        {"Authorization": f"Bearer Bearer {token}"},
        {"Authorization": "Bearer ÿ"},
        {"X-Authorization": f"Bearer {token}"},
        {"Cookie": f"token={token}"},
    ]


def test_every_route_with_every_method_refuses_whoever_has_no_token(bare: httpx.Client, routes: list[str]) -> None:
    assert len(routes) == 24
    for path in {*routes, *UNKNOWN} - PUBLIC:
        for method in METHODS:
            assert_refused(bare.request(method, path))


def test_every_route_refuses_a_wrong_token(server: Any, bare: httpx.Client, routes: list[str]) -> None:
    for path in set(routes) - PUBLIC:
        for headers in wrong_headers(server.token):
            encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            assert_refused(bare.post(path, headers=encoded))


def test_the_token_is_asked_for_before_the_body_is_read(bare: httpx.Client) -> None:
    for body in (b"{", b"x" * 2_000_000):
        assert_refused(bare.post("/api/v1/studies", content=body, headers={"Content-Type": "application/json"}))


def test_the_token_is_in_no_query(server: Any, bare: httpx.Client) -> None:
    assert_refused(bare.get("/api/v1/meta", params={"token": server.token, "access_token": server.token}))


def test_the_first_of_two_tokens_counts(server: Any, bare: httpx.Client) -> None:
    both = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {server.token}")]
    assert_refused(bare.get("/api/v1/meta", headers=both))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens_the_routes_whatever_the_case_of_the_scheme(
    server: Any, bare: httpx.Client, scheme: str
) -> None:
    assert bare.get("/api/v1/meta", headers={"Authorization": f"{scheme} {server.token}"}).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_health_is_told_to_everyone(bare: httpx.Client, path: str, status: str) -> None:
    response = bare.get(path)
    assert (response.status_code, response.json()) == (200, {"status": status})


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs-assets/swagger-ui.css"])
def test_the_documentation_is_open(bare: httpx.Client, path: str) -> None:
    assert bare.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/docs-assets/../main.py", "/docs-assets/%2e%2e/%2e%2e/main.py", "/docs-assets/"])
def test_the_assets_are_no_way_to_other_files(bare: httpx.Client, path: str) -> None:
    assert bare.get(path).status_code in {401, 404}


def assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 401, (response.request.method, response.request.url)
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"
    assert response.request.method == "HEAD" or response.json() == REFUSAL
