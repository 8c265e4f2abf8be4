"""What replies look like, and how they are made of the service's answers. See docs/protocol.md."""

from tpeak_server.api.replies.columns import ColumnsReply, PackedReply, columns, packed
from tpeak_server.api.replies.explained import ExplainedReply, explained
from tpeak_server.api.replies.replayed import ReplayedReply, replayed
from tpeak_server.api.replies.service import MetaReply, StatusReply, WorkerReply, WorkersReply, workers
from tpeak_server.api.replies.studies import (
    CreatedReply,
    DifferenceReply,
    StudiesReply,
    StudyReply,
    created,
    studies,
    study,
)
from tpeak_server.api.replies.trials import AddedReply, TrialReply, TrialsReply, rows, trial
from tpeak_server.api.replies.wire import StepReply, reply
from tpeak_server.api.replies.work import (
    AskedReply,
    BeatReply,
    IssuedReply,
    ReleasedReply,
    ReportedReply,
    ResumeReply,
    SuggestedReply,
    ToldReply,
    asked,
    beat,
    released,
    reported,
    suggested,
    told,
)

__all__ = [
    "AddedReply",
    "AskedReply",
    "BeatReply",
    "ColumnsReply",
    "CreatedReply",
    "DifferenceReply",
    "ExplainedReply",
    "IssuedReply",
    "MetaReply",
    "PackedReply",
    "ReleasedReply",
    "ReplayedReply",
    "ReportedReply",
    "ResumeReply",
    "StatusReply",
    "StepReply",
    "StudiesReply",
    "StudyReply",
    "SuggestedReply",
    "ToldReply",
    "TrialReply",
    "TrialsReply",
    "WorkerReply",
    "WorkersReply",
    "asked",
    "beat",
    "columns",
    "created",
    "explained",
    "packed",
    "released",
    "replayed",
    "reply",
    "reported",
    "rows",
    "studies",
    "study",
    "suggested",
    "told",
    "trial",
    "workers",
]
