"""Finding the journey that somebody means: by id, its beginning, its case or its customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rejse.pipelines import wording


class UnknownJourneyError(ValueError):
    """No journey, or more than one, answers to what was given; `near` lists candidates."""

    def __init__(self, message: str, near: tuple[str, ...]) -> None:
        super().__init__(message)
        self.near = near


@dataclass(frozen=True)
class Found:
    """A journey in a list: enough to choose it."""

    journey_id: str
    journey_type: str | None
    owner: str | None
    started_at: datetime
    friction_score: float | None
    health_ops: float | None

    def __str__(self) -> str:
        kind = f"{wording.clean(self.journey_type, 24)}, {wording.clean(self.owner, 24)}"
        score = f"friction {wording.amount(self.friction_score)}"
        health = f"health_ops {wording.amount(self.health_ops)}"
        return f"{self.journey_id}  {kind}, {wording.day(self.started_at)}, {score}, {health}"


def rows(con: Any, query: str, given: list[Any] | None = None) -> list[dict[str, Any]]:
    """Rows of a query as dicts; naive times are read as UTC."""
    cursor = con.execute(query, given or [])
    names = [column[0] for column in cursor.description]
    return [{n: _utc(v) for n, v in zip(names, row, strict=True)} for row in cursor.fetchall()]


def _utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


_FOUND = """
    select
        journey_id, journey_type, owner, timezone('UTC', started_at) as started_at,
        friction_score, health_ops
    from v_journeys
"""


def worst(con: Any, most: int = 10) -> list[Found]:
    """Worst journeys: closed ones by least health_ops, those without by most friction."""
    order = "order by health_ops asc nulls last, friction_score desc nulls last, journey_id"
    return [Found(**row) for row in rows(con, f"{_FOUND} {order} limit ?", [most])]


def find(con: Any, wanted: str) -> str:
    """Id of the journey that `wanted` names: `worst`, an id, the beginning of one, or a case.

    Raises UnknownJourneyError where none or several answer to it.
    """
    wanted = wanted.strip()
    if wanted.casefold() == "worst":
        found = worst(con, 1)
        if not found:
            raise UnknownJourneyError(
                "expected a journey, found none: this store holds no journeys", ()
            )
        return found[0].journey_id
    for test in ("journey_id = ?", "starts_with(journey_id, ?)", "case_id = ?"):
        hits = rows(con, f"{_FOUND} where {test} order by journey_id limit 6", [wanted])
        if len(hits) == 1:
            return str(hits[0]["journey_id"])
        if hits and wanted:
            raise _several(wanted, [Found(**row) for row in hits])
    raise _none(con, wanted)


def _several(wanted: str, hits: list[Found]) -> UnknownJourneyError:
    head = f"expected one journey, but several answer to {wording.clean(wanted)!r}; give more of it"
    return _error(head, hits[:5])


def _none(con: Any, wanted: str) -> UnknownJourneyError:
    near = f"{_FOUND} order by jaro_winkler_similarity(journey_id, ?) desc, journey_id limit 3"
    found = [Found(**row) for row in rows(con, near, [wanted[:64]])]
    return _error(f"expected a journey's id, found none that is {wording.clean(wanted)!r}", found)


def _error(head: str, found: list[Found]) -> UnknownJourneyError:
    listed = "".join(f"\n  {one}" for one in found)
    tail = f"\nnearest:{listed}" if found else ""
    more = "\nlist the worst ones with `rejse explain`, or any with `rejse sql`"
    return UnknownJourneyError(f"{head}{tail}{more}", tuple(one.journey_id for one in found))


def guide(con: Any) -> str:
    """What `rejse explain` says without a journey: the worst ones, and how to find others."""
    found = worst(con)
    if not found:
        return "There are no journeys yet: run `rejse run`, then `rejse explain` again."
    listed = "\n".join(f"  {one}" for one in found)
    return (
        "The worst journeys:\n"
        f"{listed}\n"
        "Explain one with `rejse explain ID` (the first characters are enough, or its case id),\n"
        "the worst with `rejse explain worst`. Find others with\n"
        "  rejse sql \"select journey_id, health_ops from v_journeys where owner = 'Claims'\""
    )
