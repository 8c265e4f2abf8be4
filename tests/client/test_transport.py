import os

import httpx
import pytest

from tpeak._version import __version__
from tpeak.errors import (
    Conflict,
    DatabaseUnavailable,
    InsecureConnection,
    InternalError,
    Invalid,
    InvalidConnection,
    InvalidValue,
    LeaseLost,
    NotFound,
    Overloaded,
    RouteNotFound,
    ServerUnreachable,
    StudyNotFound,
    Unauthorized,
    Unavailable,
    UnexpectedReply,
)
from tpeak.transport import Client


def test_a_request_carries_the_token_and_its_json(client, server):
    server.on("POST", "/studies", {"ok": True})
    assert client.post("/studies", {"name": "ü"}) == {"ok": True}
    request = server.requests[0]
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"tpeak/{__version__}"
    assert request.content == '{"name":"ü"}'.encode()
    assert str(request.url) == "http://127.0.0.1:8765/api/v1/studies"


def test_an_empty_reply_is_none(client, server):
    server.on("DELETE", "/studies/s1", (204, None))
    assert client.request("DELETE", "/studies/s1") is None


def test_a_query_may_hold_a_name_several_times(client, server):
    server.on("GET", "/studies/s1/trials", {})
    client.get("/studies/s1/trials", {"state": ["complete", "pruned"], "limit": 5})
    assert server.requests[0].url.query == b"state=complete&state=pruned&limit=5"


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut off"),
        httpx.DecodingError("no gzip"),
        (408, None),
        (429, None),
        (500, None),
        (502, None),
        (503, None),
    ],
)
def test_what_may_pass_is_sent_again_byte_for_byte(client, server, failure):
    server.on("POST", "/studies/s1/ask", failure, failure, {"trials": []})
    assert client.post("/studies/s1/ask", {"request_id": "r1"}) == {"trials": []}
    assert [request.content for request in server.requests] == [b'{"request_id":"r1"}'] * 3


@pytest.mark.parametrize("status", [400, 401, 404, 405, 409, 413, 415, 422])
def test_a_refusal_is_not_sent_again(client, server, status):
    server.on("GET", "/meta", (status, None))
    with pytest.raises(Exception, match=f"HTTP {status}"):
        client.get("/meta")
    assert len(server.sent) == 1


def test_waits_double_up_to_a_bound(client, server, clock):
    server.on("GET", "/meta", *[(503, None)] * 8, {})
    client.get("/meta")
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_waits_are_drawn_from_the_full_range(server, clock):
    draws = iter([0.0, 0.5])
    client = Client(
        "http://localhost:1",
        transport=httpx.MockTransport(server),
        sleep=clock.sleep,
        clock=clock,
        jitter=lambda: next(draws),
    )
    server.on("GET", "/meta", (503, None), (503, None), {})
    client.get("/meta")
    assert clock.slept == [0.0, 0.25]


def test_retry_after_is_waited_for(client, server, clock):
    server.on("GET", "/meta", (503, None, {"Retry-After": "7"}), {})
    client.get("/meta")
    assert clock.slept == [7.25]


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "nan", "inf"])
def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(client, server, clock, header):
    server.on("GET", "/meta", (503, None, {"Retry-After": header}), {})
    client.get("/meta")
    assert clock.slept == [0.25]


def test_while_a_request_is_repeated_a_warning_says_why_once_an_outage(client, server, caplog):
    refused = httpx.ConnectError("refused")
    server.on("GET", "/meta", refused, refused, refused, {}, refused, {}, refused, refused, {})
    for _ in range(2):
        client.get("/meta")
    (said,) = caplog.messages
    assert said.startswith("no answer from http://127.0.0.1:8765: refused. Start one with `tpeak server`")
    assert said.endswith("(still trying, for up to 60 s)")
    client.get("/meta")
    assert len(caplog.messages) == 2


def test_requests_end_at_their_deadline(client, server, clock):
    server.on("GET", "/meta", httpx.ConnectError("refused"))
    with pytest.raises(ServerUnreachable):
        client.get("/meta")
    assert 50.0 < clock.now - 1000.0 <= 60.0


def test_a_deadline_of_zero_means_one_attempt(client, server, clock):
    server.on("POST", "/x", (503, None))
    with pytest.raises(Unavailable):
        client.post("/x", {}, deadline_s=0.0)
    assert len(server.sent) == 1
    assert clock.slept == []


def test_the_error_says_which_url_was_tried_and_how_to_start_a_server(client, server):
    server.on("GET", "/meta", httpx.ConnectError("refused"))
    with pytest.raises(ServerUnreachable, match=r"http://127\.0\.0\.1:8765: refused\. Start one with `tpeak server`"):
        client.get("/meta")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "study_not_found", StudyNotFound),
        (409, "lease_lost", LeaseLost),
        (422, "invalid_value", InvalidValue),
        (401, "unauthorized", Unauthorized),
        (429, "overloaded", Overloaded),
        (503, "database_unavailable", DatabaseUnavailable),
        (500, "internal_error", InternalError),
        (404, "newer_code", NotFound),
        (409, "newer_code", Conflict),
        (403, "newer_code", Unauthorized),
        (422, "newer_code", Invalid),
        (503, "newer_code", Unavailable),
    ],
)
def test_errors_have_the_name_of_the_servers_code(client, server, refusal, status, code, kind):
    server.on("GET", "/meta", refusal(status, code, where="/lease"))
    with pytest.raises(kind, match=f"it is {code}") as caught:
        client.get("/meta")
    assert type(caught.value) is kind


@pytest.mark.parametrize(("token", "what"), [("secret", "this token"), (None, "requests without a token")])
def test_a_refused_token_is_said_to_be_refused_by_which_server(server, refusal, token, what):
    server.on("GET", "/meta", refusal(401, "unauthorized"))
    client = Client("http://127.0.0.1:8765", token, transport=httpx.MockTransport(server))
    with pytest.raises(Unauthorized, match=rf"^http://127\.0\.0\.1:8765 refuses {what}: it is unauthorized"):
        client.get("/meta")


def test_a_route_that_the_server_does_not_know_is_shown_with_its_url(client, server, refusal):
    server.on("GET", "/meta", refusal(404, "route_not_found"))
    with pytest.raises(RouteNotFound, match=r"^GET http://127\.0\.0\.1:8765/api/v1/meta: it is route_not_found"):
        client.get("/meta")


def test_errors_keep_where_the_mistake_is(client, server, refusal):
    server.on("POST", "/x", refusal(422, "invalid_value", where="/values/0"))
    with pytest.raises(InvalidValue) as caught:
        client.post("/x", {})
    assert caught.value.where == "/values/0"


def test_a_redirect_is_not_followed(client, server):
    server.on("GET", "/meta", (307, None, {"Location": "http://elsewhere/"}))
    with pytest.raises(UnexpectedReply, match="redirects to http://elsewhere/"):
        client.get("/meta")
    assert len(server.sent) == 1


def test_a_page_that_is_not_json_is_reported_as_such(clock):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    with pytest.raises(UnexpectedReply, match="is that a tpeak server"):
        Client("http://localhost:1", transport=transport).get("/meta")


def test_a_proxys_error_page_is_an_outage():
    transport = httpx.MockTransport(lambda request: httpx.Response(502, text="<html>"))
    with pytest.raises(Unavailable, match="HTTP 502"):
        Client("http://localhost:1", transport=transport).request("GET", "/meta", deadline_s=0.0)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refusal_without_a_code_is_not_the_servers(client, server, status):
    server.on("GET", "/meta", (status, None))
    with pytest.raises(UnexpectedReply, match=f"HTTP {status}"):
        client.get("/meta")


def test_before_retry_is_called_only_where_another_attempt_follows(client, server):
    calls = []
    server.on("POST", "/x", (503, None), {})
    client.request("POST", "/x", before_retry=lambda: calls.append("again"))
    assert calls == ["again"]
    server.on("POST", "/x", (503, None))
    with pytest.raises(Unavailable):
        client.request("POST", "/x", deadline_s=0.0, before_retry=lambda: calls.append("never"))
    assert calls == ["again"]


@pytest.mark.parametrize("url", ["http://server:8765", "http://10.0.0.1", "http://127.0.0.1.evil.org"])
def test_a_token_does_not_travel_in_the_clear_to_another_host(url):
    with pytest.raises(InsecureConnection, match="TPEAK_ALLOW_HTTP=1"):
        Client(url, "secret")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765", "http://localhost", "http://[::1]:80", "https://server"])
def test_a_token_travels_within_the_machine_and_over_https(url):
    assert Client(url, "secret").url == url.removesuffix(":80")


def test_plain_http_to_another_host_can_be_allowed():
    assert Client("http://server:8765/", "secret", allow_http=True).url == "http://server:8765"


@pytest.mark.parametrize(
    "url", ["", "sqlite:///x.db", "server:8765", "http://", "ftp://x", "http://x?y", "http://me:pw@x"]
)
def test_what_is_no_servers_url_is_refused(url):
    with pytest.raises(InvalidConnection):
        Client(url)


def test_a_prefix_in_the_url_is_kept(server):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=request.url.path))
    assert Client("https://x.org/tpeak/", transport=transport).get("/meta") == "/tpeak/api/v1/meta"


def test_the_token_is_never_shown(client, server):
    server.on("GET", "/meta", (401, None))
    with pytest.raises(Unauthorized) as caught:
        client.get("/meta")
    assert "secret" not in repr(client) + repr(caught.value)


def test_a_forked_child_opens_its_own_connections():
    client = Client("http://127.0.0.1:1")
    opened = client._connections()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if client._connections() is not opened else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert client._connections() is opened
