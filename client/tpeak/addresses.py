"""What a server's URL says: whether it is one, where it leads, and through which proxy."""

from __future__ import annotations

import ipaddress
from urllib.request import getproxies, proxy_bypass

import httpx

from tpeak.errors import InvalidConnection

HOW_TO_START = "Start one with `tpeak server`, or say where one runs with storage= or TPEAK_URL."


def clean_url(url: str) -> str:
    """The URL without trailing slashes. Raises InvalidConnection for what is not http(s)://host[:port][/prefix]."""
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidConnection(f"{url!r} is not a URL: {error}") from None
    if parsed.userinfo:
        raise InvalidConnection("a server's URL must not contain a user or password; the token goes into TPEAK_TOKEN")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise InvalidConnection(f"{url!r} is not a server's URL, such as http://127.0.0.1:8765. {HOW_TO_START}")
    return str(parsed).rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine; not where it is no URL."""
    try:
        host = httpx.URL(url).host
    except (httpx.InvalidURL, TypeError):
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for the URL (HTTPS_PROXY, NO_PROXY and so on), None where there is none."""
    parsed = httpx.URL(url)
    if proxy_bypass(parsed.host) or proxy_bypass(parsed.netloc.decode("ascii")):  # NO_PROXY may name a port
        return None
    proxies = getproxies()
    found = proxies.get(parsed.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"
