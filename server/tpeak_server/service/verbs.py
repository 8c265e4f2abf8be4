"""Which function carries out which command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tpeak_server.service import commands
from tpeak_server.service.adding import add, set_attrs
from tpeak_server.service.asking import ask
from tpeak_server.service.changing import archive, change_study
from tpeak_server.service.controlling import change_trial, control_study, delete
from tpeak_server.service.importing import import_lines
from tpeak_server.service.leasing import expire, heartbeat, release
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.prepared import Prepared
from tpeak_server.service.proposing import Sampling
from tpeak_server.service.reporting import Pruning, report
from tpeak_server.service.suggesting import suggest
from tpeak_server.service.telling import tell

PLAIN: Mapping[type[commands.Command], Callable[[Ledger, Any], Any]] = {
    commands.Tell: tell,
    commands.Heartbeat: heartbeat,
    commands.Release: release,
    commands.Add: add,
    commands.ImportLines: import_lines,
    commands.SetAttrs: set_attrs,
    commands.ChangeTrial: change_trial,
    commands.Delete: delete,
    commands.ControlStudy: control_study,
    commands.ChangeStudy: change_study,
    commands.Archive: archive,
    commands.Expire: expire,
}
"""Verbs that need the study's rows and nothing else."""


class Verbs:
    """The verbs of one study, with the sampler and the pruner that some of them need."""

    def __init__(self) -> None:
        self.sampling = Sampling()
        self._pruning = Pruning()

    def carry_out(self, ledger: Ledger, command: commands.Command, prepared: Prepared) -> Any:
        """The command's answer. Raises whatever its verb raises."""
        if isinstance(command, commands.Ask):
            return ask(ledger, command, self.sampling, prepared)
        if isinstance(command, commands.Suggest):
            return suggest(ledger, command, self.sampling, prepared)
        if isinstance(command, commands.ReportSteps):
            return report(ledger, command, self._pruning)
        return PLAIN[type(command)](ledger, command)
