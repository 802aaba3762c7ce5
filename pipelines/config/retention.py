"""Retention: how long earlier publications can be read, and how long rows of a table are kept.

Rows that belong to a journey are removed with it, by its end: a journey is kept as a whole. Their
tables may be kept for a shorter time than `journeys`, never for a longer one. Rows that are not
final are kept whatever their age. So are a customer's events since the start of their first journey
that is kept or open: the journey may be rebuilt from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from rejse.pipelines.config.field_types import Duration, Frozen
from rejse.transforms.schema.parameters import DAY

if TYPE_CHECKING:
    import pyarrow as pa

JOURNEYS = "journeys"
LONGEST = 1 << 62
#: Tables whose rows go by a time of their own.
OWN_TIME: Mapping[str, str] = {
    "events": "time", "late": "time", "runs": "finished_at", "experience": "occurred_at",
    "journey_experience": "ended_at", JOURNEYS: "ended_at",
}  # fmt: skip
#: Tables whose rows go with their journey.
OF_JOURNEY = (
    "steps", "sessions", "friction_evidence", "handoffs", "info_requests", "promises",
    "sla_results",
)  # fmt: skip
#: What goes with `journeys` where it says nothing itself.
FOLLOWS = (*OF_JOURNEY, "journey_experience")
KNOWN = sorted({*OWN_TIME, *OF_JOURNEY})


class RetentionSettings(Frozen):
    """How long publications and rows are kept. Durations are microseconds here."""

    #: How long a publication can be read after the next one; at least 1d.
    publications: Duration = Field(default=30 * DAY, ge=DAY)
    #: How long rows of a table are kept; a table that is not named is kept.
    tables: dict[str, Duration] = Field(default_factory=dict)

    @field_validator("tables")
    @classmethod
    def _known(cls, value: dict[str, int]) -> dict[str, int]:
        for name, kept_for in value.items():
            if name not in KNOWN:
                close = difflib.get_close_matches(name, KNOWN, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(KNOWN)}"
                raise ValueError(f"expected a table that ages, came {name!r}; {hint}")
            if kept_for < DAY:
                raise ValueError(f"{name}: expected at least 1d, came a shorter time")
        if "events" in value and value["events"] < value.get(JOURNEYS, LONGEST):
            raise ValueError(
                "events: expected to be kept at least as long as journeys: a repair reads the"
                " customer's whole history, and would cut older journeys anew; keep events longer"
            )
        return value

    def since(self, now: int) -> dict[str, int]:
        """Return the time from which rows are kept, in microseconds, by table that ages.

        It moves once a day, at midnight UTC, so that two runs of a day publish the same.
        """
        tomorrow = (now // DAY + 1) * DAY
        kept_from = {name: tomorrow - kept_for for name, kept_for in self.tables.items()}
        if JOURNEYS in kept_from:
            for name in FOLLOWS:
                kept_from[name] = max(kept_from.get(name, kept_from[JOURNEYS]), kept_from[JOURNEYS])
        return kept_from


def needed(name: str) -> tuple[str, ...]:
    """Columns of a table that say whether a row is kept."""
    return ("journey_id",) if name in OF_JOURNEY else (OWN_TIME[name],)


def ends(journeys: pa.Table) -> pa.Table:
    """Return journey_id and ended_at of final journeys, for `keeps`."""
    if "is_final" in journeys.column_names:
        journeys = journeys.filter(journeys.column("is_final"))
    return journeys.select(["journey_id", "ended_at"])


def kept(since: Mapping[str, int], name: str, rows: pa.Table, journeys: pa.Table) -> pa.Table:
    """Remove final rows of a table that are past their retention (`since`).

    `journeys` are those that the rows belong to, with `ended_at` and `is_final`.
    """
    if name not in since or "is_final" not in rows.column_names or not rows.num_rows:
        return rows
    import pyarrow.compute as pc

    stays = keeps(name, rows, since, ends(journeys))
    return rows.filter(pc.or_(stays, pc.invert(rows.column("is_final"))))


def keeps(name: str, rows: pa.Table, since: Mapping[str, int], ended: pa.Table) -> pa.ChunkedArray:
    """Return a mask of the final rows of a table that are kept.

    `ended` has journey_id and ended_at of the journeys that the rows belong to.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    start = pa.scalar(since[name], pa.int64()).cast(pa.timestamp("us", "UTC"))
    if name not in OF_JOURNEY:
        return pc.fill_null(pc.greater_equal(rows.column(OWN_TIME[name]), start), True)
    expired = ended.filter(pc.less(ended.column("ended_at"), start)).column("journey_id")
    return pc.invert(pc.is_in(rows.column("journey_id"), value_set=expired.combine_chunks()))


def reach(events: pa.Table, began: pa.Table) -> pa.ChunkedArray:
    """Return a mask of the events in or after the first kept journey of their customer.

    `began` has customer_key and started_at of journeys that are kept or open, and of their steps.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    first = began.group_by("customer_key").aggregate([("started_at", "min")])
    whose = events.column("customer_key").cast(pa.string())
    at = pc.index_in(whose, value_set=first.column("customer_key").combine_chunks())
    start = first.column("started_at_min").take(at)
    return pc.fill_null(pc.greater_equal(events.column("time"), start), False)
