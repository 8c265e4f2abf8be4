"""All that the checker judges: the histories, and the database as it stands. Nothing of the server's code is in here.

Rows are dicts by column name, as PostgreSQL gives them.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

from tests.chaos import history
from tests.chaos.history import Operation, lines_of

Row: TypeAlias = dict[str, Any]

FINAL = frozenset({"complete", "pruned", "failed"})
ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

TABLES = {
    "trials": "number", "leases": "number, epoch", "reports": "seq", "suggestions": "seq", "events": "seq",
    "late_results": "number", "distributions": "id", "chaos_leases": "id",
}  # fmt: skip
"""The tables of a study, and the order in which their rows are read."""

ACTIVITY = """
SELECT state, extract(epoch FROM clock_timestamp() - state_change)::float8 AS age_s, pid, backend_start, query
FROM pg_stat_activity WHERE application_name = 'tpeak' AND datname = current_database()
"""


@dataclass(kw_only=True)
class StudyFacts:
    """One study's rows."""

    id: str
    study: Row
    clock: Row
    rows: dict[str, list[Row]]
    operations: list[Operation] = field(default_factory=list)

    @cached_property
    def trials(self) -> dict[int, Row]:
        return {row["number"]: row for row in self.rows["trials"]}

    @cached_property
    def leases(self) -> dict[str, Row]:
        """The leases by token."""
        return {row["token"]: row for row in self.rows["leases"]}

    @cached_property
    def leases_by_request(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(self.rows["leases"], key=lambda row: row["ordinal"]):
            found[row["request_id"]].append(row)
        return found

    @cached_property
    def reports(self) -> dict[tuple[int, int, int], Row]:
        return {(row["number"], row["epoch"], row["step"]): row for row in self.rows["reports"]}

    @cached_property
    def pruned(self) -> set[tuple[int, int]]:
        """The (number, epoch) whose decision was to prune."""
        return {(row["number"], row["epoch"]) for row in self.rows["reports"] if row["prune"]}

    @cached_property
    def events(self) -> dict[int | None, list[Row]]:
        """The events of each trial in order, those of the study under None."""
        found: dict[int | None, list[Row]] = defaultdict(list)
        for row in self.rows["events"]:
            found[row["number"]].append({**row, "payload": row["payload"] or {}})
        return found

    @cached_property
    def proposals(self) -> dict[int, dict[str, list[Any]]]:
        """Each trial's values as an objective may have seen them, by name: proposed, and suggested later."""
        known = {row["id"]: (row["name"], json.loads(row["spec"])) for row in self.rows["distributions"]}
        found: dict[int, dict[str, list[Any]]] = {}
        for number, trial in self.trials.items():
            values = found[number] = {}
            for of, internal in zip(trial["proposed_ids"], trial["proposed"], strict=True):
                values.setdefault(known[of][0], []).append(external(known[of][1], internal))
        for row in self.rows["suggestions"]:
            value = external(known[row["distribution_id"]][1], row["value"])
            found.get(row["number"], {}).setdefault(row["name"], []).append(value)
        return found

    def of_kind(self, *kinds: str) -> list[Operation]:
        """The study's operations of these kinds."""
        return [operation for operation in self.operations if operation.kind in kinds]

    def exempt_since(self, number: int) -> float:
        """The seq from which on the trial was exempt from pruning, infinity where it was not."""
        return next((row["seq"] for row in self.events[number] if row["kind"] == "exempted"), math.inf)

    def forgotten(self, number: int) -> bool:
        """Whether somebody had the trial's result taken back."""
        return any(event["kind"] in {"retried", "deleted"} for event in self.events[number])


@dataclass(kw_only=True)
class Facts:
    """Everything. `now` is the database's time when it was read; `rest_at` is since when nobody worked, if ever.

    `caches` are what each replica's cache holds, by study; `activity` the server's connections; `seen` what proxies and
    workers counted.
    """

    operations: list[Operation]
    studies: dict[str, StudyFacts]
    now: float = 0.0
    rest_at: float | None = None
    ticks: list[Row] = field(default_factory=list)
    activity: list[Row] = field(default_factory=list)
    caches: list[Row] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    faults: list[Row] = field(default_factory=list)
    interfered: set[str] = field(default_factory=set)
    replicas: int | None = None
    seen: dict[str, int] = field(default_factory=dict)


def gather(folder: Path, database_url: str) -> Facts:
    """Reads the histories in the folder and the database."""
    operations = history.read(folder)
    of_study: dict[str | None, list[Operation]] = defaultdict(list)
    for operation in operations:
        of_study[operation.study].append(operation)
    rest = json.loads((folder / "rest.json").read_text()) if (folder / "rest.json").exists() else {}
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        facts = Facts(
            operations=operations,
            studies=_studies(connection, of_study),
            now=_first(connection, "SELECT extract(epoch FROM clock_timestamp())::float8 AS now")["now"],
            ticks=_select(connection, "SELECT * FROM chaos_ticks ORDER BY id"),
            activity=_select(connection, ACTIVITY),
        )
    facts.rest_at, facts.replicas = rest.get("at"), rest.get("replicas")
    facts.caches, facts.seen = rest.get("caches", []), rest.get("seen", {})
    facts.logs = {file.name: file.read_text(errors="replace") for file in sorted(folder.glob("*.log"))}
    facts.faults = [line for file in sorted(folder.glob("faults*.jsonl")) for line in lines_of(file)]
    for file in folder.glob("interfered*.txt"):
        facts.interfered |= set(file.read_text().split())
    return facts


def _studies(connection: Any, of_study: dict[str | None, list[Operation]]) -> dict[str, StudyFacts]:
    found = {}
    for study in _select(connection, "SELECT * FROM studies"):
        path = to_path(study["id"])
        found[path] = StudyFacts(
            id=path,
            study=study,
            clock=_first(connection, "SELECT * FROM study_clocks WHERE study_id = %s", study["id"]),
            rows={
                table: _select(connection, f"SELECT * FROM {table} WHERE study_id = %s ORDER BY {order}", study["id"])
                for table, order in TABLES.items()
            },
            operations=of_study[path],
        )
    return found


def _select(connection: Any, statement: str, *parameters: Any) -> list[Row]:
    rows: list[Row] = connection.execute(statement, parameters or None).fetchall()
    return rows


def _first(connection: Any, statement: str, *parameters: Any) -> Row:
    return _select(connection, statement, *parameters)[0]


def to_path(study_id: int) -> str:
    """A study's id as paths have it: 13 letters of base32."""
    return "".join(ID_ALPHABET[study_id >> 5 * place & 31] for place in reversed(range(13)))


def external(spec: dict[str, Any], internal: float) -> Any:
    """The value that an objective sees."""
    if spec["type"] == "categorical":
        return spec["choices"][int(internal)]
    return int(internal) if spec["type"] == "int" else internal


def bits(values: Any) -> tuple[str, ...] | None:
    """Values of the wire or of a row so that equal means equal bit for bit: -0.0 is not 0.0, and NaN is NaN."""
    if values is None:
        return None
    return tuple(repr(float(NON_FINITE.get(v, v) if isinstance(v, str) else v)) for v in values)


def canonical(body: Any) -> str:
    """JSON that is equal where the content is."""
    return json.dumps(body, sort_keys=True)


TOKEN = re.compile(r"tpk_[a-z]+_[0-9A-Za-z]{30}_[0-9A-Za-z]{6}")
"""A token of the server."""
