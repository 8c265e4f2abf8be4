import os

import pytest

from tpeak.addresses import proxy_for


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://server", None),
        ({"https_proxy": "http://proxy:3128"}, "https://server/prefix", "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128"}, "http://server", None),
        ({"http_proxy": "proxy:3128"}, "http://server:8765", "http://proxy:3128"),
        ({"all_proxy": "http://proxy:3128"}, "https://server", "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "other,.lab.org"}, "https://server.lab.org", None),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "fd00::1"}, "http://[fd00::1]:8765", None),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "server:8765"}, "http://server:8765", None),
    ],
)
def test_requests_go_through_the_proxy_that_the_environment_names(monkeypatch, environment, url, proxy):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy
