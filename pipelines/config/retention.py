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

from rejse.pipelines.config.field_types import Duration, Frozen, Kept
from rejse.transforms.schema.parameters import DAY

if TYPE_CHECKING:
    import pyarrow as pa

JOURNEYS = "journeys"
LONGEST = 1 << 62


class RetentionSettings(Frozen):
    """How long publications and rows are kept. Durations are microseconds here."""

    #: How long a publication can be read after the next one; at least 1d.
    publications: Kept[Duration] = Field(default=30 * DAY, ge=DAY)
    #: How long messages in the archive of a topic are kept (`archive = true`).
    archive: Kept[Duration] = Field(default=365 * DAY, ge=DAY)
    #: How long rows of a table are kept; a table that is not named is kept.
    tables: Kept[dict[str, Duration]] = Field(default_factory=dict)

    @field_validator("tables")
    @classmethod
    def _known(cls, value: dict[str, int]) -> dict[str, int]:
        known = sorted(_columns()) if value else []
        for name, kept_for in value.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
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
        since = {name: tomorrow - kept_for for name, kept_for in self.tables.items()}
        if JOURNEYS in since:
            for name in following():
                since[name] = max(since.get(name, since[JOURNEYS]), since[JOURNEYS])
        return since


def _columns() -> Mapping[str, str]:
    """Return the retention column of each table that ages."""
    from rejse.transforms import published_tables

    return published_tables.ageing()


def following() -> list[str]:
    """Return the tables that are kept no longer than `journeys`: with rows of, or per, journey."""
    from rejse.transforms.published_tables import TABLES

    per_journey = {name for name in _columns() if TABLES[name].key == ("journey_id",)} - {JOURNEYS}
    return [name for name in _columns() if is_of_journey(name) or name in per_journey]


def is_of_journey(name: str) -> bool:
    """Return whether rows of a table go with their journey, and not by a time of their own."""
    return needed(name) == "journey_id"


def needed(name: str) -> str:
    """Return the column of a table that tells whether a row is kept."""
    return _columns()[name]


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
    if not is_of_journey(name):
        return pc.fill_null(pc.greater_equal(rows.column(needed(name)), start), True)
    dropped = ended.filter(pc.less(ended.column("ended_at"), start)).column("journey_id")
    return pc.invert(pc.is_in(rows.column("journey_id"), value_set=dropped.combine_chunks()))


def reach(events: pa.Table, began: pa.Table) -> pa.ChunkedArray:
    """Return a mask of the events in or after the first kept journey of their customer.

    `began` has customer_key and started_at of journeys that are kept or open, and of their steps.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from rejse.transforms.schema.contract import CUSTOMER_KEY

    first = began.group_by(CUSTOMER_KEY).aggregate([("started_at", "min")])
    whose = events.column(CUSTOMER_KEY).cast(pa.string())
    at = pc.index_in(whose, value_set=first.column(CUSTOMER_KEY).combine_chunks())
    start = first.column("started_at_min").take(at)
    return pc.fill_null(pc.greater_equal(events.column("time"), start), False)
