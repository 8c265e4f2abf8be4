"""Requests to the server, repeated until they are answered or their deadline is over.

With `addresses` and `replies` the only user of httpx.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import httpx

from tpeak._version import __version__
from tpeak.addresses import HOW_TO_START, clean_url, is_loopback, proxy_for
from tpeak.errors import InsecureConnection, ServerUnreachable, Unavailable
from tpeak.replies import body_of
from tpeak.wire import encode

Query: TypeAlias = Mapping[str, str | int | Sequence[str]]

T = TypeVar("T")

API = "/api/v1"

DEADLINE_S = 60.0
"""How long a request is repeated before it counts as undeliverable."""

CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 30.0
"""How long one attempt waits for a connection, and for the reply."""

STREAM_TIMEOUT_S = 120.0
"""How long a reply that has begun may stand still."""

FIRST_BACKOFF_S = 0.25
LAST_BACKOFF_S = 8.0
"""Bounds of the exponential backoff, from which the waiting time is drawn in full (0 to the bound)."""

QUIET_FAILURES = 1
"""What fails once more is worth a word to the user, who would look at a silent terminal otherwise."""

log = logging.getLogger("tpeak")


class Client:
    """A server's routes over kept-alive connections; threads may share it, and a forked child opens its own.

    A request that meets no answer, 408, 429 or 5xx is sent again, byte for byte: every write of the protocol is keyed,
    so the server answers a repetition as it did the first time. `transport` replaces the network, `sleep` and `clock`
    (monotonic seconds) replace time. Raises InvalidConnection for a URL that is none, InsecureConnection where the
    token would travel in the clear to another host and `allow_http` does not permit it.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        allow_http: bool = False,
        deadline_s: float = DEADLINE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = clean_url(url)
        self.token = token
        self.allow_http = allow_http
        self.deadline_s = deadline_s
        self._transport = transport
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._headers = _headers(token)
        self._opened: tuple[int, httpx.BaseTransport] | None = None
        self._outage_noted = False
        self._failures = 0
        self._meta: tuple[int, Mapping[str, Any]] | None = None  # failures when it was asked for, and what it was
        if token is not None and not allow_http and self.url.startswith("http://") and not is_loopback(self.url):
            raise InsecureConnection(
                f"the token would travel unencrypted to {self.url}: use https, or set TPEAK_ALLOW_HTTP=1 if the "
                "network between is trusted"
            )

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def get(self, path: str, query: Query | None = None) -> Any:
        """The JSON that the route answers. Raises the error of the server's code, or Unavailable."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any, *, deadline_s: float | None = None, attempt_s: float | None = None) -> Any:
        """The JSON that the route answers, None for an empty reply. Raises as `get`."""
        return self.request("POST", path, content=encode(body), deadline_s=deadline_s, attempt_s=attempt_s)

    def incarnation(self, *, anew: bool = False, deadline_s: float | None = None) -> str | None:
        """Which life of the database the server speaks of, None of one that does not say. Raises as `get`.

        It is asked for where it is not known, requests have failed since (nobody restores a database that answers), or
        the caller wants it `anew`.
        """
        incarnation: str | None = self._server(anew, deadline_s).get("incarnation")
        return incarnation

    def has(self, feature: str) -> bool:
        """Whether the server can do this beyond the first version of the protocol. Raises as `get`."""
        return feature in self._server(False, None).get("features", ())

    def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        query: Query | None = None,
        deadline_s: float | None = None,
        attempt_s: float | None = None,
        before_retry: Callable[[], None] | None = None,
    ) -> Any:
        """The reply's JSON, after as many attempts as the deadline allows: one if it is 0.

        An attempt waits for `attempt_s` at most. `before_retry` is called each time an attempt has failed and another
        will follow.
        """
        end = self._clock() + (self.deadline_s if deadline_s is None else deadline_s)

        def attempt() -> Any:
            return self._attempt(method, path, content, query, _timeout(end - self._clock(), attempt_s))

        try:
            return self._repeated(attempt, end, before_retry)
        except Unavailable as failure:
            if deadline_s is None:
                failure.message += f" {self.url} was tried for {self.deadline_s:g} s (TPEAK_DEADLINE_S)."
            raise

    def stream(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """The parts of a reply that may be of any length, as they come.

        Attempts are repeated until a reply has begun; one that breaks off raises ServerUnreachable.
        """
        reply = self._repeated(lambda: self._begin(path, query), self._clock() + self.deadline_s, None)
        try:
            yield from reply.iter_bytes()
        except httpx.RequestError as failure:  # a garbled encoding, too
            raise ServerUnreachable(f"the reply of {self.url} broke off: {failure}") from None
        finally:
            reply.close()

    def _server(self, anew: bool, deadline_s: float | None) -> Mapping[str, Any]:
        if anew or self._meta is None or self._meta[0] != self._failures:
            failures = self._failures
            self._meta = failures, self.request("GET", "/meta", deadline_s=deadline_s)
        return self._meta[1]

    def _repeated(self, attempt: Callable[[], T], end: float, before_retry: Callable[[], None] | None) -> T:
        for failures, limit in enumerate(backoff_limits()):
            try:
                return attempt()
            except Unavailable as failure:
                self._failures += 1
                delay = (failure.retry_after_s or 0.0) + self._jitter() * limit
                if self._clock() + delay >= end:
                    raise
                if failures == QUIET_FAILURES:
                    self._note_outage(failure, end)
            if before_retry is not None:
                before_retry()
            self._sleep(delay)
        raise AssertionError("backoff_limits never ends")

    def _attempt(
        self, method: str, path: str, content: bytes | None, query: Query | None, timeout: httpx.Timeout
    ) -> Any:
        body = body_of(self._exchange(method, path, content, query, timeout, read=True), self.url)
        self._outage_noted = False
        return body

    def _exchange(
        self, method: str, path: str, content: bytes | None, query: Query | None, timeout: httpx.Timeout, *, read: bool
    ) -> httpx.Response:
        """The reply to one request; only its beginning if it is a success and not to be `read`.

        A request goes straight to the connections: cookies, redirects and credentials from files, which `httpx.Client`
        looks after, are not wanted, and would be a third of what a request costs.
        """
        request = httpx.Request(
            method,
            self.url + API + path,
            headers=self._headers,
            content=content,
            params=None if query is None else list(_pairs(query)),
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            reply = self._connections().handle_request(request)
            reply.request = request
            if read or not reply.is_success:
                _read(reply)
        except httpx.RequestError as failure:
            # Whatever broke on the way there or back, a garbled encoding too: the request may be sent again.
            reason = str(failure) or type(failure).__name__
            raise ServerUnreachable(f"no answer from {self.url}: {reason}. {HOW_TO_START}") from None
        return reply

    def _note_outage(self, failure: Unavailable, end: float) -> None:
        """Warn of it, once until an answer comes."""
        if not self._outage_noted:
            self._outage_noted = True
            log.warning("%s (still trying, for up to %.0f s)", failure, end - self._clock())

    def _begin(self, path: str, query: Query | None) -> httpx.Response:
        timeout = httpx.Timeout(STREAM_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        reply = self._exchange("GET", path, None, query, timeout, read=False)
        if not reply.is_success:
            body_of(reply, self.url)
        return reply

    def _connections(self) -> httpx.BaseTransport:
        """The connections of this process: a forked child must not write into its parent's sockets."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._open())  # two threads may both open one; the loser's is dropped unused
        return self._opened[1]

    def _open(self) -> httpx.BaseTransport:
        if self._transport is not None:
            return self._transport
        near = is_loopback(self.url)  # no proxy stands between a machine and itself
        proxy = None if near else proxy_for(self.url)
        return httpx.HTTPTransport(
            # Where there is no TLS, certificates to judge it by need not be read: that takes longer than a request.
            verify=self.url.startswith("https:") or proxy is not None,
            proxy=proxy,
            trust_env=not near,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )


def backoff_limits() -> Iterator[float]:
    """Upper bounds of the waits between attempts, in seconds: doubling, then constant."""
    for attempt in itertools.count():
        yield min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(attempt, 16))


def _headers(token: str | None) -> httpx.Headers:
    headers = httpx.Headers({"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "Content-Type": "application/json"})
    headers["User-Agent"] = f"tpeak/{__version__}"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _read(reply: httpx.Response) -> None:
    """The whole body; what breaks off leaves no connection behind."""
    try:
        reply.read()
    finally:
        reply.close()


def _timeout(left_s: float, attempt_s: float | None) -> httpx.Timeout:
    # A request whose deadline is short, or nearly over, still gets the time in which a healthy server answers.
    seconds = min(REPLY_TIMEOUT_S, max(CONNECT_TIMEOUT_S, left_s)) if attempt_s is None else attempt_s
    return httpx.Timeout(seconds, connect=min(CONNECT_TIMEOUT_S, seconds))


def _pairs(query: Query) -> Iterator[tuple[str, str | int]]:
    for name, value in query.items():
        if isinstance(value, (str, int)):
            yield name, value
        else:
            yield from ((name, each) for each in value)
