"""Everything that tpeak raises.

TpeakError
├── NotFound
│   ├── StudyNotFound (also KeyError)
│   ├── TrialNotFound (also ValueError)
│   ├── NoCompleteTrial (also ValueError)
│   └── RouteNotFound
├── Conflict
│   ├── StudyExists = DuplicatedStudyError
│   ├── StudyArchived
│   ├── LeaseLost
│   ├── AlreadyFinished (also ValueError)
│   └── NotRunning (also ValueError)
├── Invalid (also ValueError)
│   ├── InvalidDistribution
│   ├── InvalidValue
│   ├── RequestIdReused
│   ├── MalformedBody
│   ├── BodyTooLarge
│   ├── MethodNotAllowed
│   └── UnsupportedMediaType
├── Unauthorized
├── Unavailable
│   ├── ServerUnreachable
│   ├── DatabaseUnavailable
│   ├── Overloaded
│   ├── ShuttingDown
│   └── InternalError
├── UnexpectedReply
├── InvalidConnection (also ValueError)
│   └── InsecureConnection
├── NoTrial
│   ├── NoTrialYet
│   └── StudyFinished
└── TrialPruned

Those with a `code` are the server's errors of that code. Beside the tree stands Preempted, a BaseException: it is no
error, and an objective's `except Exception` does not hold it up.
"""

from __future__ import annotations

from typing import ClassVar


class TpeakError(Exception):
    """What went wrong and what to do about it; `where` points into the request, if anywhere."""

    code: ClassVar[str | None] = None

    def __init__(self, message: str = "", *, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        # KeyError, which some of the tree are too, would show the message as a quoted key.
        return self.message if self.where is None else f"{self.message} (at {self.where})"


class NotFound(TpeakError):
    """What the request names does not exist, or the token may not see it."""


class StudyNotFound(NotFound, KeyError):
    """No study has this name or id."""

    code = "study_not_found"


class TrialNotFound(NotFound, ValueError):
    """The study has no trial of this number."""

    code = "trial_not_found"


class NoCompleteTrial(NotFound, ValueError):
    """The best trial was asked for and none is complete with a finite value and meets its constraints."""

    code = "no_complete_trial"


class RouteNotFound(NotFound):
    """The server does not know the path: it is older than this client, or not tpeak."""

    code = "route_not_found"


class Conflict(TpeakError):
    """The request contradicts what is stored."""


class StudyExists(Conflict):
    """A study of this name exists and `load_if_exists` is not set."""

    code = "study_exists"


DuplicatedStudyError = StudyExists


class StudyArchived(Conflict):
    """A write to a deleted study."""

    code = "study_archived"


class LeaseLost(Conflict):
    """The lease has ended: it expired, was released, or the trial was given to another worker."""

    code = "lease_lost"


class AlreadyFinished(Conflict, ValueError):
    """A tell for a trial that already has another result."""

    code = "already_finished"


class NotRunning(Conflict, ValueError):
    """A tell by number for a trial that no worker has."""

    code = "not_running"


class Invalid(TpeakError, ValueError):
    """The request is well-formed and still wrong."""

    code = "invalid_request"


class InvalidDistribution(Invalid):
    """A distribution that contradicts itself, or another one of the same name in the trial."""

    code = "invalid_distribution"


class InvalidValue(Invalid):
    """A value of the wrong type, count or range."""

    code = "invalid_value"


class RequestIdReused(Invalid):
    """A request id that was used for a different request."""

    code = "request_id_reused"


class MalformedBody(Invalid):
    """A body that is not the JSON that the server takes."""

    code = "malformed_body"


class BodyTooLarge(Invalid):
    """A body over 1 MiB."""

    code = "body_too_large"


class MethodNotAllowed(Invalid):
    """The server does not know this method on this path: it is older than this client."""

    code = "method_not_allowed"


class UnsupportedMediaType(Invalid):
    """A body that is not `application/json`."""

    code = "unsupported_media_type"


class Unauthorized(TpeakError):
    """No token, or one that the server does not take."""

    code = "unauthorized"


class Unavailable(TpeakError):
    """Nothing is wrong with the request, and it was repeated until its deadline.

    `retry_after_s` is how long the server asked to be left alone, in seconds.
    """

    def __init__(self, message: str = "", *, where: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, where=where)
        self.retry_after_s = retry_after_s


class ServerUnreachable(Unavailable):
    """No answer at all from the URL."""


class DatabaseUnavailable(Unavailable):
    """The server did not reach its PostgreSQL."""

    code = "database_unavailable"


class Overloaded(Unavailable):
    """More requests than the server takes on."""

    code = "overloaded"


class ShuttingDown(Unavailable):
    """The server's process is leaving."""

    code = "shutting_down"


class InternalError(Unavailable):
    """A fault of the server, which its log explains."""

    code = "internal_error"


class UnexpectedReply(TpeakError):
    """A reply that no tpeak server gives: a redirect, a refusal without a code, or something that is not JSON."""


class InvalidConnection(TpeakError, ValueError):
    """A URL, connect file or setting from which no server can be found."""


class InsecureConnection(InvalidConnection):
    """A token would travel over plain http to another host."""


class NoTrial(TpeakError):
    """The server has no trial to hand out.

    `reason` is the server's: "paused", "host_paused", "wall_time", "exhausted", "stop_when", or None where there is
    nothing to add.
    """

    def __init__(self, message: str = "", *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class NoTrialYet(NoTrial):
    """All trials are out with workers, or the study or this host is paused; ask again in `retry_after_s` seconds."""

    def __init__(self, message: str = "", *, retry_after_s: float = 1.0, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_s = retry_after_s


class StudyFinished(NoTrial):
    """Nothing is left for this worker: the budget is used up, the study has ended, every point was tried (`reason`
    "exhausted"), or no trial fits its wall time ("wall_time").
    """


class TrialPruned(TpeakError):
    """Raised by an objective to end a trial that `Trial.should_prune` says to give up."""


class Preempted(BaseException):
    """Raised in an objective by SIGTERM or SIGUSR1 during `optimize`, so that it ends and its trial is handed back.

    An objective may catch it to tidy up, and should let it through. Until then suggesting, and asking whether to prune,
    raise it again; reporting and noting a checkpoint do not. In threads, which no signal reaches, the trial's
    own methods raise it once the trial was handed back.
    """
