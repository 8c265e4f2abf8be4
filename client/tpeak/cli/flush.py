"""`tpeak flush`: sends the results that wait on this machine's disk for the server."""

from __future__ import annotations

import argparse
from collections import Counter

from tpeak.connection import connect
from tpeak.spool import Fate

LEFT = (Fate.ELSEWHERE, Fate.REFUSED, Fate.UNREACHABLE, Fate.UNAUTHORIZED)


def run(given: argparse.Namespace) -> int:
    """A line for each result and a summary; the exit code, 0 where nothing is left."""
    connection = connect()
    fates: Counter[Fate] = Counter()
    for sending in connection.spool.flush(connection.client):
        print(f"{sending.file.name}: {sending.fate.value}{f': {sending.detail}' if sending.detail else ''}")
        fates[sending.fate] += 1
    left = sum(fates[fate] for fate in LEFT)
    print(f"{sum(fates.values()) - left} sent to {connection.client.url}, {left} left in {connection.spool.folder}")
    if fates[Fate.UNAUTHORIZED]:
        print("set TPEAK_TOKEN to a token that the server takes, then run `tpeak flush` again")
    if fates[Fate.ELSEWHERE]:
        print("for the other servers run it again with TPEAK_URL and TPEAK_TOKEN set to theirs")
    return 1 if left else 0
