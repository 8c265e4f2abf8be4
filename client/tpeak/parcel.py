"""A request that must arrive, even if the database was restored from a backup in the meantime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tpeak.errors import LeaseLost, TpeakError, TrialNotFound, Unauthorized, Unavailable
from tpeak.wire import encode

if TYPE_CHECKING:
    from tpeak.transport import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A body for a path of the server at `url`.

    `incarnation` is that of the database that gave the lease; see `is_for`. A result has with it all of the `trial` as
    `POST /studies/{study}/trials` takes it.
    """

    url: str
    path: str
    body: dict[str, Any]
    incarnation: str | None = None
    trial: dict[str, Any] | None = None

    def send(
        self,
        client: Client,
        *,
        deadline_s: float | None = None,
        attempt_s: float | None = None,
        before_retry: Callable[[], None] | None = None,
    ) -> Any:
        """The server's reply. Raises as `Client.request`.

        Where the lease is unknown because the database was restored, the result is added as a finished trial, and the
        reply is that of `POST /studies/{study}/trials`. The request's id is the lease's, so a repetition adds nothing.
        """
        try:
            return client.request(
                "POST", self.path, content=encode(self.body),
                deadline_s=deadline_s, attempt_s=attempt_s, before_retry=before_retry,
            )  # fmt: skip
        except (LeaseLost, TrialNotFound):
            if self.trial is None or not restored(client, self.incarnation, deadline_s=deadline_s):
                raise
        body = {"request_id": f"lease-{self.body['lease']}", "trials": [self.trial]}
        trials = self.path.rsplit("/", 2)[0]  # /studies/{study}/trials/{number}/tell
        return client.request("POST", trials, content=encode(body), deadline_s=deadline_s, before_retry=before_retry)

    def is_for(self, client: Client, *, named: bool, deadline_s: float | None = None) -> bool:
        """Whether the client's server has the database that the lease is of: at this URL, or at another one by now.

        A copy that was made from a snapshot says that it is the same database. So another URL counts where both are of
        this machine, on which a server has a new port at every start, and where the user `named` it for this. Raises
        Unavailable and Unauthorized.
        """
        from tpeak.addresses import is_loopback  # whose httpx would be half of tpeak's import

        if self.url == client.url:
            return True
        if self.incarnation is None or not (named or (is_loopback(self.url) and is_loopback(client.url))):
            return False
        try:
            return self.incarnation == client.incarnation(deadline_s=deadline_s)
        except (Unavailable, Unauthorized):
            raise
        except TpeakError:  # it is no tpeak server, say: nothing is known of its database
            return False

    def to_json(self) -> bytes:
        """What `from_json` reads; no token is in it."""
        return encode({name: value for name, value in asdict(self).items() if value is not None})


def from_json(fields: dict[str, Any]) -> Parcel:
    """The parcel that `to_json` wrote. Raises TypeError for fields that are none of it."""
    return Parcel(**fields)


def restored(client: Client, incarnation: str | None, *, deadline_s: float | None = None) -> bool:
    """Whether the server's database is no longer the one of this incarnation. Raises as any request does."""
    if incarnation is None:
        return False
    now = client.incarnation(anew=True, deadline_s=deadline_s)
    return now is not None and now != incarnation
