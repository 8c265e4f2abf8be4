"""Values for parameters that an ask did not cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution
from tpeak_server.domain.trial import Suggested, TrialRecord
from tpeak_server.service.commands import Suggest
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.prepared import Prepared
from tpeak_server.service.proposing import Sampling
from tpeak_server.service.scenes import known_values


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedValue:
    """The value, in the distribution that it was drawn from."""

    value: Any
    distribution: Distribution
    seq: int


def suggest(ledger: Ledger, command: Suggest, sampling: Sampling, prepared: Prepared) -> SuggestedValue:
    """The trial's value for the name: the first answer stands, over all epochs."""
    ledger.writable()
    record = ledger.record(command.number)
    ledger.live_lease(command.number, command.lease or "")
    if command.name not in record.suggested and not _proposed(ledger, record, command):
        ledger.need_room([(command.name, command.distribution)], "/distribution")
        value = _value(ledger, record, command, sampling, prepared)
        distribution_id = ledger.intern(command.name, command.distribution)
        ledger.suggest(
            Suggested(
                number=command.number,
                name=command.name,
                distribution_id=distribution_id,
                value=value,
                seq=ledger.take_seq(),
            )
        )
        record = ledger.record(command.number)
    distribution_id, internal = record.known(ledger.interned)[command.name]
    distribution = ledger.interned[distribution_id].distribution
    return SuggestedValue(value=distribution.to_external(internal), distribution=distribution, seq=ledger.seq)


def _proposed(ledger: Ledger, record: TrialRecord, command: Suggest) -> bool:
    """Whether the proposal already holds a value of this kind in the range wanted now."""
    proposed = record.known(ledger.interned).get(command.name)
    if proposed is None:
        return False
    distribution_id, internal = proposed
    own = ledger.interned[distribution_id].distribution
    if own.kind != command.distribution.kind:
        return False
    if isinstance(command.distribution, CategoricalDistribution):
        return command.distribution.has(own.to_external(internal))
    return command.distribution.contains(internal)


def _value(ledger: Ledger, record: TrialRecord, command: Suggest, sampling: Sampling, prepared: Prepared) -> float:
    fixed = record.trial.fixed
    if command.name in fixed:
        # As in Optuna an enqueued number is taken even out of range; to_internal refuses what has no meaning.
        return command.distribution.to_internal(fixed[command.name])
    known = known_values(record, ledger.interned, command.name)
    foreseen = prepared.late.get((command.number, command.name))
    if foreseen is not None and foreseen[0] == (known, command.distribution):
        return foreseen[1]
    return sampling.value_under_lock(ledger, command, known, at_last=prepared.under_lock)
