"""Signals that end the supervisor's waits."""

import os
import signal

import pytest

from tpeak_server.supervisor.interruption import Interruption
from tpeak_server.supervisor.refusals import Interrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_next_wait_and_no_statement_before_it(number):
    with Interruption() as interruption:
        os.kill(os.getpid(), number)
        done = True
        with pytest.raises(Interrupted):
            interruption.pause(60)
    assert done


def test_the_former_handlers_are_back_afterwards():
    former = signal.getsignal(signal.SIGTERM)
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) is not former
    assert signal.getsignal(signal.SIGTERM) is former


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            interruption.pause(0)
    finally:
        signal.signal(signal.SIGHUP, former)
