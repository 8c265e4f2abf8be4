"""Every route of the service: translate, call one verb, translate."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.security import HTTPBearer
from starlette.responses import Response

from tpeak_server import __version__
from tpeak_server.api import lines, replies, requests
from tpeak_server.api.bodies import StrictRoute
from tpeak_server.api.compression import accepts_gzip, made_in_thread
from tpeak_server.api.problems import DOCUMENTED
from tpeak_server.api.replies import reply
from tpeak_server.api.streaming import LinesResponse, PackedResponse, packed_lines
from tpeak_server.domain.errors import StudyNotFound
from tpeak_server.domain.study import from_path
from tpeak_server.domain.which import Which
from tpeak_server.service import commands
from tpeak_server.service.application import SCHEMA, Application
from tpeak_server.service.studies import resolved

FEATURES: list[str] = ["columns"]
"""What this server can do beyond the first version of the protocol."""

MAX_PAGE = 10_000
MAX_INT64 = 2**63 - 1


async def application(request: Request) -> Application:
    """The service that this process runs."""
    found: Application = request.app.state.application
    return found


async def study_id(study: str) -> int:
    """The study's number out of the path. Raises StudyNotFound for what is no id."""
    found = from_path(study)
    if found is None:
        raise StudyNotFound("this is no study's id; find the id by `GET /api/v1/studies?name=`")
    return found


async def which_trials(
    state: Annotated[
        list[Literal["waiting", "running", "complete", "pruned", "failed", "lost"]] | None, Query()
    ] = None,
    since_seq: Annotated[int | None, Query(ge=0, le=MAX_INT64)] = None,
    min_seq: Annotated[int | None, Query(ge=0, le=MAX_INT64)] = None,
    after: Annotated[int, Query(ge=-1, le=requests.MAX_INT32)] = -1,
) -> Which:
    """The trials that the query means."""
    return Which(states=state, since_seq=since_seq, min_seq=min_seq or 0, after=after)


App = Annotated[Application, Depends(application)]
StudyId = Annotated[int, Depends(study_id)]
Number = Annotated[int, Path(alias="number", ge=0, le=requests.MAX_INT32)]
TextQuery = Annotated[str | None, Query(max_length=requests.MAX_NAME, pattern="^[^\\x00]*$")]
Wanted = Annotated[Which, Depends(which_trials)]
Accepted = Annotated[str | None, Header(alias="Accept-Encoding", include_in_schema=False)]

# The guard asks for the token; this is for the documentation.
bearer = Depends(HTTPBearer(auto_error=False, scheme_name="token", description="The server's token"))

operations = APIRouter(tags=["operations"], responses=DOCUMENTED)
v1 = APIRouter(prefix="/api/v1", route_class=StrictRoute, responses=DOCUMENTED, dependencies=[bearer])


@operations.get("/healthz", response_model=replies.StatusReply)
async def healthz() -> Response:
    """That this process answers; it does not ask the database."""
    return reply({"status": "ok"})


@operations.get("/readyz", response_model=replies.StatusReply)
async def readyz(app: App) -> Response:
    """That this process can serve: the database answers and has this version's schema."""
    await app.ready()
    return reply({"status": "ready"})


@v1.get("/meta", tags=["operations"], response_model=replies.MetaReply)
async def meta(app: App) -> Response:
    """What this server is."""
    incarnation = await app.incarnation()
    return reply({"version": __version__, "features": FEATURES, "schema": SCHEMA, "incarnation": incarnation})


@v1.post(
    "/studies",
    tags=["studies"],
    status_code=201,
    response_model=replies.CreatedReply,
    responses={200: {"model": replies.CreatedReply, "description": "It was there"}},
)
async def create_study(body: requests.CreateStudy, app: App) -> Response:
    """Make a study, or load the one of that name."""
    answer = await app.studies.create(body.command())
    return reply(replies.created(answer), 201 if answer.created else 200)


@v1.get("/studies", tags=["studies"], response_model=replies.StudiesReply)
async def list_studies(
    app: App,
    name: TextQuery = None,
    after: TextQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The studies by name, or the one of a name."""
    found = await (app.studies.page(after, limit) if name is None else app.studies.named(name))
    return reply(replies.studies(found, limit if name is None else len(found) + 1))


@v1.get("/studies/{study}", tags=["studies"], response_model=replies.StudyReply)
async def get_study(study: StudyId, app: App) -> Response:
    """One study, archived or not."""
    return reply(replies.study(*await app.studies.get(study)))


@v1.patch("/studies/{study}", tags=["studies"], response_model=replies.StudyReply)
async def change_study(study: StudyId, body: requests.ChangeStudy, app: App) -> Response:
    """Change a study's settings."""
    settings = resolved(body.settings())
    await app.submit(study, commands.ChangeStudy(request_id=body.request_id, settings=settings))
    return reply(replies.study(*await app.studies.get(study)))


@v1.delete("/studies/{study}", tags=["studies"], status_code=204)
async def archive_study(study: StudyId, app: App) -> Response:
    """Archive a study: read-only from then on, and its name is free."""
    await app.submit(study, commands.Archive())
    return Response(status_code=204)


@v1.post("/studies/{study}/pause", tags=["studies"], response_model=replies.StudyReply)
async def pause_study(study: StudyId, body: requests.ControlStudy, app: App) -> Response:
    """Hand out no trials for the time being."""
    return await _control(study, body.command(commands.Control.PAUSE), app)


@v1.post("/studies/{study}/stop", tags=["studies"], response_model=replies.StudyReply)
async def stop_study(study: StudyId, body: requests.ControlStudy, app: App) -> Response:
    """Hand out no trials any more; what runs may finish."""
    return await _control(study, body.command(commands.Control.STOP), app)


@v1.post("/studies/{study}/cancel", tags=["studies"], response_model=replies.StudyReply)
async def cancel_study(study: StudyId, body: requests.ControlStudy, app: App) -> Response:
    """Hand out no trials any more, and ask every worker to stop."""
    return await _control(study, body.command(commands.Control.CANCEL), app)


@v1.post("/studies/{study}/resume", tags=["studies"], response_model=replies.StudyReply)
async def resume_study(study: StudyId, body: requests.ControlStudy, app: App) -> Response:
    """Hand out trials again."""
    return await _control(study, body.command(commands.Control.RESUME), app)


async def _control(study: int, command: commands.ControlStudy, app: Application) -> Response:
    await app.submit(study, command)
    return reply(replies.study(*await app.studies.get(study)))


@v1.post("/studies/{study}/prune-replay", tags=["studies"], response_model=replies.ReplayedReply)
async def replay_pruner(study: StudyId, body: requests.ReplayPruner, app: App) -> Response:
    """What a pruner would have done to the study; nothing is changed."""
    return reply(replies.replayed(await app.replaying.replay(study, body.pruner)))


@v1.post("/studies/{study}/ask", tags=["trials"], response_model=replies.AskedReply)
async def ask(study: StudyId, body: requests.AskTrials, app: App) -> Response:
    """Get trials to work on."""
    return reply(replies.asked(await app.submit(study, body.command())))


@v1.post("/studies/{study}/trials/{number}/suggest", tags=["trials"], response_model=replies.SuggestedReply)
async def suggest(study: StudyId, number: Number, body: requests.SuggestValue, app: App) -> Response:
    """Get a value for a parameter that the ask did not cover."""
    return reply(replies.suggested(await app.submit(study, body.command(number))))


@v1.post("/studies/{study}/trials/{number}/report", tags=["trials"], response_model=replies.ReportedReply)
async def report(study: StudyId, number: Number, body: requests.ReportSteps, app: App) -> Response:
    """Report intermediate values and learn whether to go on."""
    return reply(replies.reported(await app.submit(study, body.command(number))))


@v1.post("/studies/{study}/trials/{number}/tell", tags=["trials"], response_model=replies.ToldReply)
async def tell(study: StudyId, number: Number, body: requests.TellResult, app: App) -> Response:
    """Tell a trial's result."""
    return reply(replies.told(await app.submit(study, body.command(number))))


@v1.post("/studies/{study}/trials/{number}/heartbeat", tags=["trials"], response_model=replies.BeatReply)
async def heartbeat(study: StudyId, number: Number, body: requests.Beat, app: App) -> Response:
    """Keep a lease."""
    return reply(replies.beat(await app.submit(study, commands.Heartbeat(number=number, lease=body.lease))))


@v1.post("/studies/{study}/trials/{number}/release", tags=["trials"], response_model=replies.ReleasedReply)
async def release(study: StudyId, number: Number, body: requests.ReleaseTrial, app: App) -> Response:
    """Give a trial back."""
    return reply(replies.released(await app.submit(study, body.command(number))))


@v1.post("/studies/{study}/trials", tags=["trials"], status_code=201, response_model=replies.AddedReply)
async def add_trials(study: StudyId, body: requests.AddTrials, app: App) -> Response:
    """Enqueue trials, or add finished ones."""
    return reply(await app.submit(study, body.command()), 201)


@v1.get("/studies/{study}/trials", tags=["trials"], response_model=replies.TrialsReply | replies.ColumnsReply)
async def list_trials(
    study: StudyId,
    app: App,
    which: Wanted,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1000,
    form: Literal["rows", "columns"] = "rows",
    accepted: Accepted = None,
) -> Response:
    """Trials by number, as rows or columns."""
    if form == "columns":
        columns = await app.reading.columns(study, which, limit)
        return await made_in_thread(partial(replies.columns, columns), accepted)
    page = await app.reading.trials(study, which, limit)
    return await made_in_thread(partial(replies.rows, page), accepted)


@v1.get(
    "/studies/{study}/columns",
    tags=["trials"],
    status_code=200,
    response_class=PackedResponse,
    responses={200: {"model": replies.PackedReply, "description": "Lines, each of which is one of these"}},
)
async def list_columns(study: StudyId, app: App, which: Wanted, accepted: Accepted = None) -> Response:
    """All trials by number, as lines with packed columns of some thousand each."""
    return PackedResponse(packed_lines(app.reading.all_columns(study, which)), compressed=accepts_gzip(accepted))


@v1.get(
    "/studies/{study}/export",
    tags=["studies"],
    status_code=200,
    response_class=LinesResponse,
    responses={200: {"description": "A line for the study and for each thing in it"}},
)
async def export_study(study: StudyId, app: App) -> Response:
    """The whole study as of one moment, a JSON object a line."""
    return LinesResponse(app.export(study), lines.encoded)


@v1.post("/studies/{study}/import", tags=["studies"], response_model=replies.AddedReply)
async def import_study(study: StudyId, body: lines.ImportStudy, app: App) -> Response:
    """Take lines of an export over."""
    return reply(await app.submit(study, body.command()))


@v1.get("/studies/{study}/trials/{number}", tags=["trials"], response_model=replies.TrialReply)
async def get_trial(study: StudyId, number: Number, app: App) -> Response:
    """One trial."""
    page = await app.reading.trial(study, number)
    return reply(replies.trial(page.records[0], page.interned))


@v1.get("/studies/{study}/trials/{number}/explain", tags=["trials"], response_model=replies.ExplainedReply)
async def explain_trial(study: StudyId, number: Number, app: App) -> Response:
    """Why a trial has the parameters that it has."""
    return reply(replies.explained(await app.explaining.explain(study, number)))


@v1.patch("/studies/{study}/trials/{number}", tags=["trials"], response_model=replies.TrialReply)
async def change_trial(study: StudyId, number: Number, body: requests.ChangeTrial, app: App) -> Response:
    """Cancel a trial, fail it or try it again, and merge attributes into its own."""
    await app.submit(study, body.command(number))
    page = await app.reading.trial(study, number)
    return reply(replies.trial(page.records[0], page.interned))


@v1.delete("/studies/{study}/trials/{number}", tags=["trials"], status_code=204)
async def delete_trial(study: StudyId, number: Number, app: App) -> Response:
    """Delete a trial: nobody sees it any more, and its number is not used again."""
    await app.submit(study, commands.Delete(number=number))
    return Response(status_code=204)


@v1.get("/studies/{study}/best", tags=["trials"], response_model=replies.TrialReply)
async def best(study: StudyId, app: App) -> Response:
    """The best finite complete trial."""
    page = await app.reading.best(study)
    return reply(replies.trial(page.records[0], page.interned))


@v1.post("/workers", tags=["workers"], status_code=204)
async def register_worker(body: requests.RegisterWorker, app: App) -> Response:
    """Say who will ask for trials."""
    await app.register(body.worker())
    return Response(status_code=204)


@v1.get("/workers", tags=["workers"], response_model=replies.WorkersReply)
async def list_workers(app: App) -> Response:
    """The workers, the last seen first."""
    return reply(replies.workers(await app.workers()))
