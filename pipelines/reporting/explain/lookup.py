"""Find a journey by id, the beginning of one, its case, or as the worst; rank journeys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.runtime.text_safety import clean
from rejse.transforms.errors import MisuseError
from rejse.transforms.schema.parameters import COMPONENT_FLOOR


class UnknownJourneyError(MisuseError):
    """No journey matches the input, or several do; `near` lists candidates."""

    def __init__(self, message: str, near: tuple[str, ...]) -> None:
        super().__init__(message)
        self.near = near


@dataclass(frozen=True)
class JourneySummary:
    """A journey in a list, with enough to choose it."""

    journey_id: str
    journey_type: str | None
    owner: str | None
    started_at: datetime
    friction_score: float | None
    health_ops: float | None

    def __str__(self) -> str:
        kind = f"{clean(self.journey_type, 24)}, {clean(self.owner, 24)}"
        score = f"friction {wording.amount(self.friction_score)}"
        health = f"health_ops {wording.amount(self.health_ops)}"
        return f"{self.journey_id}  {kind}, {wording.day(self.started_at)}, {score}, {health}"


def rows(con: Any, query: str, given: list[Any] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a query as dicts; naive times are read as UTC."""
    cursor = con.execute(query, given or [])
    names = [column[0] for column in cursor.description]
    return [{n: _utc(v) for n, v in zip(names, row, strict=True)} for row in cursor.fetchall()]


def _utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


_SUMMARY = """
    select
        journey_id, journey_type, owner, timezone('UTC', started_at) as started_at,
        friction_score, health_ops
    from v_journeys
"""


@dataclass(frozen=True)
class Worst:
    """The worst journeys first, and how many tie with the first.

    `n_level` journeys have its health_ops (or none, like it), `n_equal` of them its friction too;
    `n_scored` journeys have a friction score.
    """

    journeys: list[JourneySummary]
    n_level: int
    n_equal: int
    n_scored: int

    def note(self, shown: int = 1) -> str:
        """Return the remark on the first `shown` journeys: that none is the worst, or on ties."""
        if not self.n_scored:
            return "too little was logged to see friction: no journey is the worst"
        if not self.journeys:
            scored = wording.plural(self.n_scored, "journey")
            return f"no friction was found in {scored}: no journey is the worst"
        if self.n_level == 1:
            return ""
        least = _least(self.journeys[0])
        if self.n_level <= shown:
            order = "id" if self.n_equal == self.n_level else "most friction"
            return f"the first {self.n_level} share the {least}, and stand by {order}"
        if self.n_equal == self.n_level:
            has_health = self.journeys[0].health_ops is not None
            also, order = ", and the same friction" if has_health else "", "id"
        elif self.n_equal > shown:
            also, order = f", {self.n_equal:,} of them the most friction too", "id"
        else:
            also, order = "", "most friction"
        these = "this is the first" if shown == 1 else f"these are the first {shown}"
        return f"{self.n_level:,} journeys share the {least}{also}; {these} by {order}"


def _least(first: JourneySummary) -> str:
    if first.health_ops is None:
        return f"most friction, {wording.amount(first.friction_score)}, without a health that ranks"
    floor = ", its floor" if first.health_ops <= 100 * COMPONENT_FLOOR + 1e-9 else ""
    return f"lowest health_ops, {wording.amount(first.health_ops)}{floor}"


#: Journeys with an assumed end have no health that ranks (v_ranked_journeys); friction ranks them.
_WORST = """
    with scored as (
        select
            journeys.journey_id, journeys.journey_type, journeys.owner,
            timezone('UTC', journeys.started_at) as started_at, journeys.friction_score,
            ranked.health_ops, ranked.outcome01,
            count(*) over () as n_scored,
            max(journeys.friction_score) over () as most_friction
        from v_journeys as journeys
        left join v_ranked_journeys as ranked on journeys.journey_id = ranked.journey_id
        where journeys.friction_score is not null
    ),

    found as (
        select
            *,
            count(*) over (partition by health_ops) as n_level,
            count(*) over (partition by health_ops, friction_score) as n_equal
        from scored
        where friction_score > 0 or (health_ops is not null and outcome01 < 1)
    )

    select * from found where most_friction > 0
    order by health_ops asc nulls last, friction_score desc, journey_id
    limit ?
"""


def ranking(con: Any, most: int = 10) -> Worst:
    """Rank the worst journeys; none where there is no friction at all.

    Closed ones come first by least health_ops, then those without a health that ranks by most
    friction. Ties: most friction, then id.
    """
    ranked = rows(con, _WORST, [most])
    names = JourneySummary.__dataclass_fields__
    worst = [JourneySummary(**{name: row[name] for name in names}) for row in ranked]
    if not ranked:
        (row,) = rows(con, "select count(friction_score) as n from v_journeys")
        return Worst([], 0, 0, row["n"])
    first = ranked[0]
    level = first["n_equal"] if first["health_ops"] is None else first["n_level"]
    return Worst(worst, level, first["n_equal"], first["n_scored"])


def worst(con: Any, most: int = 10) -> list[JourneySummary]:
    """Return the worst journeys in the order of `ranking`."""
    return ranking(con, most).journeys


def find(con: Any, wanted: str) -> str:
    """Return the id of the journey that `wanted` names: `worst`, an id, its beginning, or a case.

    Raises:
        UnknownJourneyError: no journey matches, or several do.
    """
    wanted = wanted.strip()
    if is_worst(wanted):
        return the_worst(con)[0]
    for test in ("journey_id = ?", "starts_with(journey_id, ?)", "case_id = ?"):
        hits = rows(con, f"{_SUMMARY} where {test} order by journey_id limit 6", [wanted])
        if len(hits) == 1:
            return str(hits[0]["journey_id"])
        if hits and wanted:
            raise _several(wanted, [JourneySummary(**row) for row in hits])
    raise _none(con, wanted)


def is_worst(wanted: str) -> bool:
    """Return whether the input asks for the worst journey."""
    return wanted.strip().casefold() == "worst"


def the_worst(con: Any) -> tuple[str, str]:
    """Return the id of the worst journey, and the remark on it.

    Where no journey is the worst, it is the one of least health, and the remark says so. Raises as
    `find`.
    """
    ranked = ranking(con, 1)
    if ranked.journeys:
        return ranked.journeys[0].journey_id, ranked.note()
    first = rows(
        con,
        "select journey_id from v_journeys left join v_ranked_journeys as ranked using (journey_id)"
        " order by ranked.health_ops asc nulls last, journey_id limit 1",
    )
    if not first:
        raise UnknownJourneyError(
            "expected a journey, found none: this store holds no journeys", ()
        )
    note = f"{ranked.note()}{_ill_ended(con)}; this is the first by health and id"
    return first[0]["journey_id"], note


def _holds_journeys(con: Any) -> bool:
    return bool(rows(con, "select 1 from v_journeys limit 1"))


def _ill_ended(con: Any) -> str:
    """Return a hint at journeys that ended badly, if there are any."""
    (row,) = rows(con, "select count(*) as n from v_ranked_journeys where outcome01 < 1")
    if not row["n"]:
        return ""
    return (
        f'; {wording.plural(row["n"], "journey")} ended other than well: `rejse sql "select'
        ' journey_id, outcome from v_journeys where outcome01 < 1"`'
    )


def _several(wanted: str, hits: list[JourneySummary]) -> UnknownJourneyError:
    head = f"expected one journey, but several answer to {clean(wanted)!r}; give more of it"
    return _error(head, hits[:5])


def _none(con: Any, wanted: str) -> UnknownJourneyError:
    near = f"{_SUMMARY} order by jaro_winkler_similarity(journey_id, ?) desc, journey_id limit 3"
    nearest = [JourneySummary(**row) for row in rows(con, near, [wanted[:64]])]
    return _error(f"expected a journey's id, found none that is {clean(wanted)!r}", nearest)


def _error(head: str, journeys: list[JourneySummary]) -> UnknownJourneyError:
    listed = "".join(f"\n  {journey}" for journey in journeys)
    tail = f"\nnearest:{listed}" if journeys else ""
    more = "\nlist the worst ones with `rejse explain`, or any with `rejse sql`"
    return UnknownJourneyError(
        f"{head}{tail}{more}", tuple(journey.journey_id for journey in journeys)
    )


def guide(con: Any) -> str:
    """Return the output of `rejse explain` without a journey: the worst, and how to find others."""
    if not _holds_journeys(con):
        return "There are no journeys yet: run `rejse run`, then `rejse explain` again."
    ranked = ranking(con)
    note = ranked.note(len(ranked.journeys))
    listed = "".join(f"\n  {journey}" for journey in ranked.journeys)
    head = f"The worst journeys{f' ({note})' if note else ''}:{listed}"
    return (
        f"{head if ranked.journeys else note[0].upper() + note[1:] + '.'}\n"
        "Explain one with `rejse explain ID` (the first characters are enough, or its case id),\n"
        "the worst with `rejse explain worst`. Find others with\n"
        "  rejse sql \"select journey_id, health_ops from v_journeys where owner = 'Claims'\""
    )
