"""Everything that can be wrong with a request, in the domain's words.

DomainError
├── NotFound
│   ├── StudyNotFound
│   ├── TrialNotFound
│   └── NoCompleteTrial
├── Conflict
│   ├── StudyExists
│   ├── StudyArchived
│   ├── LeaseLost
│   ├── AlreadyFinished
│   └── NotRunning
├── Invalid
│   ├── InvalidDistribution
│   ├── InvalidValue
│   └── RequestIdReused
└── Unavailable
    ├── DatabaseUnavailable
    ├── Overloaded
    └── ShuttingDown

The api maps each to a status; nothing here knows of HTTP.
"""

from collections.abc import Iterable
from typing import ClassVar


class DomainError(Exception):
    """A request that cannot be done; `message` says what was wrong and what to do, `where` points at it."""

    code: ClassVar[str]

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where


class NotFound(DomainError):
    """What the request names does not exist."""


class StudyNotFound(NotFound):
    """No study has this id."""

    code = "study_not_found"


class TrialNotFound(NotFound):
    """The study has no trial of this number."""

    code = "trial_not_found"


class NoCompleteTrial(NotFound):
    """The best trial was asked for and none is complete with a finite value and meets its constraints."""

    code = "no_complete_trial"


class Conflict(DomainError):
    """The request contradicts what is stored."""


class StudyExists(Conflict):
    """A study of this name exists and `if_exists` is not "load"."""

    code = "study_exists"


class StudyArchived(Conflict):
    """A write to an archived study."""

    code = "study_archived"


class LeaseLost(Conflict):
    """The lease has ended: it expired, was released, or the trial was given to another worker."""

    code = "lease_lost"


class AlreadyFinished(Conflict):
    """A tell for a trial that already has another result."""

    code = "already_finished"


class NotRunning(Conflict):
    """A tell without a lease for a trial that no worker has."""

    code = "not_running"


class Invalid(DomainError):
    """The request is well-formed and still wrong."""

    code = "invalid_request"


class InvalidDistribution(Invalid):
    """A distribution that contradicts itself."""

    code = "invalid_distribution"


class InvalidValue(Invalid):
    """A value of the wrong type, count or range."""

    code = "invalid_value"


class RequestIdReused(Invalid):
    """A request id that was used for a different request."""

    code = "request_id_reused"


class Unavailable(DomainError):
    """Nothing is wrong with the request; sent again with the same key it will be answered."""

    retry_after_s: float = 1.0


class DatabaseUnavailable(Unavailable):
    """PostgreSQL did not take the transaction in time."""

    code = "database_unavailable"


class Overloaded(Unavailable):
    """More requests wait for this study than the server takes on."""

    code = "overloaded"


class ShuttingDown(Unavailable):
    """The server is shutting down; another replica, or the next one, answers."""

    code = "shutting_down"


def pointer(path: Iterable[str | int]) -> str:
    """The JSON pointer (RFC 6901) to what the keys and indices lead to."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
