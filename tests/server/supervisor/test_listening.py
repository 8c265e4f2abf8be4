"""The listening socket and its names."""

import socket
import time

import pytest

from tpeak_server.supervisor import listening
from tpeak_server.supervisor.refusals import Refused


def test_port_0_takes_a_free_one_and_refuses_connections_until_somebody_listens():
    with listening.bind("127.0.0.1", 0, time.sleep) as listener:
        host, port = listener.getsockname()
        assert listening.own_url(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))


def test_a_port_in_use_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(listening, "REBIND_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=rf"port {port} on 127\.0\.0\.1 is in use; choose another one with --port"):
            listening.bind("127.0.0.1", port, time.sleep)


def test_a_port_that_is_being_let_go_of_is_waited_for():
    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    with listening.bind("127.0.0.1", port, lambda seconds: other.close()) as listener:
        assert listener.getsockname()[1] == port


@pytest.mark.parametrize(("host", "told"), [("no.such.host.invalid", "no address for"), ("192.0.2.1", "cannot listen")])
def test_a_host_that_is_not_this_machines_is_named(host, told):
    with pytest.raises(Refused, match=f"{told}.*--host"):
        listening.bind(host, 0, time.sleep)


def test_on_every_address_workers_get_this_machines_name_and_it_itself_loopback():
    with listening.bind("0.0.0.0", 0, time.sleep) as listener:
        port = listener.getsockname()[1]
        assert listening.own_url(listener) == f"http://127.0.0.1:{port}"
        assert listening.public_url(listener) == f"http://{socket.gethostname()}:{port}"


def test_an_ipv6_address_stands_in_brackets():
    with listening.bind("::1", 0, time.sleep) as listener:
        assert listening.own_url(listener) == f"http://[::1]:{listener.getsockname()[1]}"
