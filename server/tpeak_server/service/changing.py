"""A study's settings, changed while it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tpeak_server.domain.study import StudyState
from tpeak_server.pruners.agreement import check_objective
from tpeak_server.samplers.agreement import check_objectives, check_space
from tpeak_server.service.adding import first_answer, remember
from tpeak_server.service.commands import Archive, ChangeStudy
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.stopping import apply_rule


def change_study(ledger: Ledger, command: ChangeStudy) -> object:
    """Replaces the settings given, merges attributes; the answer is {"seq": n}. Raises Invalid."""
    before = first_answer(ledger, command)
    if before is not None:
        return before
    ledger.writable()
    settings: dict[str, Any] = dict(command.settings)
    if "sampler" in settings:
        check_space(settings["sampler"], ledger.study.space)
        check_objectives(settings["sampler"], len(ledger.study.directions))
    if "pruner" in settings:
        check_objective(settings["pruner"], len(ledger.study.directions))
        settings["pruner_auto"] = {}
    if settings.get("stop_when") is not None:
        settings["stop_when"].check(len(ledger.study.directions))
    if "user_attrs" in settings:
        settings["user_attrs"] = {**ledger.study.user_attrs, **settings["user_attrs"]}
    if "name" in settings and settings["name"] != ledger.study.name:
        ledger.changes.name = settings["name"]
    ledger.study = ledger.changes.study = replace(ledger.study, **settings)
    ledger.event("changed", fields=sorted(command.settings))
    if "stop_when" in settings:
        apply_rule(ledger)
    return remember(ledger, command, {"seq": ledger.seq})


def archive(ledger: Ledger, _: Archive) -> None:
    """Makes the study read-only and frees its name; an archived study stays as it is."""
    if ledger.study.state is StudyState.ARCHIVED:
        return
    ledger.study = ledger.changes.study = replace(ledger.study, state=StudyState.ARCHIVED)
    ledger.changes.name = ""
    ledger.event("archived")
