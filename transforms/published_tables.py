"""The table of all published tables: what each holds and how it lives.

Staging, publication, catalogue, retention, carry-forward, compaction, erasure, audit and
documentation read it. To add a table, declare its columns where its rows are made and give it an
entry here; docs/contributing.md has the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pyarrow as pa

from rejse.transforms.alerts.alert_table import ALERTS
from rejse.transforms.dimensions import customer_records
from rejse.transforms.dimensions import output_tables as operational
from rejse.transforms.feedback import output_tables as feedback
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.incremental.merge_customers import (
    ANSWERS,
    EVENTS,
    EXCLUDED,
    LATE,
    TEXT_COLUMN,
)
from rejse.transforms.incremental.merge_rows import LATENESS
from rejse.transforms.incremental.revisions import SUPERSEDED
from rejse.transforms.ingest.rejects import REJECTS
from rejse.transforms.schema.contract import CUSTOMER_KEY, event_schema
from rejse.transforms.schema.log_tables import ERASURES, PUBLICATIONS, RUNS
from rejse.transforms.schema.registry import LIVE, Column, Lifecycle, Table
from rejse.transforms.scoring import output_tables as scoring
from rejse.transforms.scoring.output_tables import STAMP
from rejse.transforms.scoring.pending import PENDING

#: Total order of events, also of answers.
EVENT_ORDER = (CUSTOMER_KEY, "time", "source", "sequence", "id")
#: Retention of rows that go with their journey.
WITH_JOURNEY = "journey_id"


def _entry(
    table: Table, lifecycle: Lifecycle, retention: str, owner: str, *, is_private: bool = False
) -> Table:
    return replace(
        table, lifecycle=lifecycle, retention=retention, owner=owner, is_private=is_private
    )


def _accepted(
    name: str, grain: str, fields: Sequence[pa.Field], retention: str, owner: str
) -> Table:
    """Return the table of accepted events or answers, whose columns are those of the contract."""
    columns = tuple(map(Column.of, fields))
    return Table(name, grain, ("source", "id"), columns, "input", retention, owner, EVENT_ORDER)


EVENT_GRAIN = "accepted interaction, canonical and pseudonymous"
ANSWER_GRAIN = "accepted X-record, canonical and pseudonymous, without its text"
_ANSWER_FIELDS = [field for field in EXPERIENCE.pseudonymous() if field.name != TEXT_COLUMN]
_SCORED = scoring.tables()
_HEARD = feedback.tables()

#: Every published table, in the order in which they are committed; `publications` comes last.
_ENTRIES: tuple[Table, ...] = (
    _accepted(EVENTS, EVENT_GRAIN, event_schema(), "time", "transforms.ingest"),
    _accepted(ANSWERS, ANSWER_GRAIN, _ANSWER_FIELDS, "", "transforms.ingest"),
    *(
        _entry(table, "input", "", "transforms.dimensions")
        for table in customer_records.tables().values()
    ),
    *(
        _entry(table, "snapshot", "", "transforms.dimensions")
        for table in operational.tables().values()
    ),
    _entry(_SCORED["journeys"], "final+live", "ended_at", "transforms.scoring"),
    _entry(_SCORED["steps"], "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(scoring.SESSIONS, "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(scoring.EVIDENCE, "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(scoring.HANDOFFS, "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(scoring.INFO_REQUESTS, "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(scoring.PROMISES, "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(scoring.SLA_RESULTS, "final+live", WITH_JOURNEY, "transforms.scoring"),
    _entry(_HEARD["experience"], "final+live", "occurred_at", "transforms.feedback"),
    _entry(_HEARD["journey_experience"], "final+live", "ended_at", "transforms.feedback"),
    _entry(_HEARD["texts"], "final+live", "occurred_at", "transforms.feedback", is_private=True),
    _entry(REJECTS, "state", "", "transforms.ingest"),
    _accepted(LATE, EVENT_GRAIN, [*event_schema(), LATENESS], "time", "transforms.incremental"),
    _entry(PENDING, "live", "", "transforms.scoring"),
    _entry(SUPERSEDED, "state", "", "transforms.incremental"),
    _entry(EXCLUDED, "state", "", "transforms.incremental"),
    _entry(ALERTS, "snapshot", "fired_at", "pipelines.alerts"),
    _entry(ERASURES, "log", "", "pipelines.maintenance"),
    _entry(RUNS, "log", "finished_at", "pipelines.publication"),
    _entry(PUBLICATIONS, "log", "", "pipelines.publication"),
)
TABLES: dict[str, Table] = {table.name: table for table in _ENTRIES}


def names() -> list[str]:
    """Return the names of all stored tables in the order of commits, `_live` ones included."""
    return [name for table in TABLES.values() for name in table.stored]


def versioned() -> list[str]:
    """Return the names of the tables whose versions a publication holds: all but its own."""
    return [name for name in names() if name != PUBLICATIONS.name]


def find(name: str) -> Table | None:
    """Return the table of a stored table's name; None where none is published under it."""
    table = TABLES.get(name.removesuffix(LIVE))
    return table if table is not None and name in table.stored else None


def table_of(name: str) -> Table:
    """Return the table of a stored table's name. Raises KeyError for an unknown one."""
    table = find(name)
    if table is None:
        raise KeyError(f"{name}: expected one of {', '.join(versioned())}")
    return table


def schema(name: str) -> pa.Schema:
    """Return the columns of a stored table with their descriptions; derived rows carry `STAMP`.

    Raises KeyError for an unknown name.
    """
    return _schema(table_of(name).name)


@cache
def _schema(name: str) -> pa.Schema:
    table = TABLES[name]
    stamp = STAMP if table.lifecycle == "final+live" else ()
    return replace(table, columns=(*table.columns, *stamp)).schema


def sort_columns(name: str) -> tuple[str, ...]:
    """Return the columns by which the rows of a stored table are sorted."""
    table = table_of(name)
    return table.order or tuple(dict.fromkeys((CUSTOMER_KEY, "journey_id", *table.key)))


def is_live(name: str) -> bool:
    """Return whether the rows of a stored table are replaced whenever their customer is scored."""
    table = table_of(name)
    return name != table.name or table.lifecycle == "live"


def is_written_whole(name: str) -> bool:
    """Return whether each run writes all rows of a stored table."""
    return table_of(name).lifecycle in ("snapshot", "log")


def ageing() -> dict[str, str]:
    """Return the retention column of each table that `[retention.tables]` may name."""
    return {t.name: t.retention for t in TABLES.values() if t.retention and not t.is_private}


def scored() -> list[str]:
    """Return the names of the stored tables that are made of accepted rows: scores, revisions."""
    made = [t for t in TABLES.values() if t.lifecycle in ("final+live", "live")]
    return [name for table in (*made, TABLES[SUPERSEDED.name]) for name in table.stored]


def private() -> list[str]:
    """Return the names of the stored tables that only their owner may read."""
    return [name for table in TABLES.values() if table.is_private for name in table.stored]
