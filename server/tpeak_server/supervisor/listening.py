"""The listening socket. The parent binds it, so a port in use is one clear error, and the children inherit it."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import time
from collections.abc import Callable

from tpeak_server.supervisor.refusals import Refused

REBIND_S = 2.0
"""After their parent was killed, its children need a moment to notice and let go of the port."""

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
"""Hosts that mean every address, and where this machine reaches them."""


def bind(host: str, port: int, pause: Callable[[float], None]) -> socket.socket:
    """A bound socket that does not listen yet: connections are refused until a child does. Raises Refused."""
    deadline = time.monotonic() + REBIND_S
    while True:
        try:
            return _bound(host, port)
        except socket.gaierror as error:
            raise Refused(f"no address for the host {host!r}: {error.strerror}; name another one with --host") from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise Refused(f"cannot listen on {host} port {port}: {error.strerror}; try another --host") from None
            if time.monotonic() > deadline:
                raise Refused(
                    f"port {port} on {host} is in use; choose another one with --port, or 0 for any free one"
                ) from None
        pause(0.1)


def own_url(listener: socket.socket) -> str:
    """The URL under which this machine reaches the socket."""
    return _url(_reachable(listener), listener)


def public_url(listener: socket.socket) -> str:
    """The URL for other machines: of a socket on every address, with this machine's name."""
    host = listener.getsockname()[0]
    return _url(socket.gethostname() if host in WILDCARDS else host, listener)


def is_healthy(listener: socket.socket, timeout_s: float = 2.0) -> bool:
    """Whether a server behind the socket answers its health check."""
    try:
        return _asked(listener, "/healthz", timeout_s)[0] == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def trouble(listener: socket.socket, timeout_s: float = 10.0) -> str | None:
    """Why the server behind the socket is not ready for requests, None where it is."""
    try:
        status, body = _asked(listener, "/readyz", timeout_s)
        return None if status == http.client.OK else str(json.loads(body)["detail"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return "it does not answer whether its database does"


def _asked(listener: socket.socket, path: str, timeout_s: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(_reachable(listener), listener.getsockname()[1], timeout=timeout_s)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _reachable(listener: socket.socket) -> str:
    host: str = listener.getsockname()[0]
    return WILDCARDS.get(host, host)


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
