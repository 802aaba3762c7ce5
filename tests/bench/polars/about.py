"""Which event each answer is about: five ways, tried in order. Grain: one record.

Each way looks only at what the ways before it left, and only at events of those customers; a search
in one sorted key finds the latest event of a customer and name at or before the record. What a
record names it is about however long ago, else the first after it; guesses reach back so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from tests.bench.polars.codes import DAY, TOUCHPOINT, at
from tests.bench.polars.company import FIRST_CASE
from tests.bench.polars.journeys import TIMES

METHOD = pl.Enum(["event", "correlation", "case", "touchpoint", "journey"])
PLACE_REACH, JOURNEY_REACH = 3 * DAY, 14 * DAY
FOUND = {"x": pl.UInt32, "pos": pl.Int32, "gap": pl.Int64}


@dataclass(frozen=True)
class Scored:
    """Events of the log, and the same in order of their journeys."""

    log: pl.DataFrame
    sessionised: pl.DataFrame

    def named(self, column: str, wanted: pl.Series) -> pl.DataFrame:
        """Place, time, customer and name of events whose name in the log is one of these."""
        is_wanted = self.log[column].is_in(wanted.drop_nulls().unique().implode())
        some = self.sessionised.select("pos", "us", "customer", "event").filter(
            is_wanted.gather(self.sessionised["event"])
        )
        return some.hstack(at(self.log, some["event"], column))


def about(records: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    """For each record in its order how it was found, its event's place, and the gap to it; or why
    there is none.
    """
    left = records.select(
        "customer", "us", "target", "visit", "case", "place", "flow"
    ).with_row_index("x")
    matches, passed = [], []
    for method, (way, reach) in WAYS.items():
        some = way(left, scored)
        if reach is not None:
            passed.append(some["x"])
            some = some.filter(pl.col("gap") <= reach)
        if "way" in some.columns:  # the first clue goes first
            some = some.sort("way").unique("x", keep="first", maintain_order=True)
        some = some.select(pl.col(n).cast(kind) for n, kind in FOUND.items())
        matches.append(some.with_columns(method=pl.lit(method, METHOD)))
        left = left.join(some, on="x", how="anti")
    numbered = pl.int_range(len(records), dtype=pl.UInt32, eager=True).alias("x").to_frame()
    return (
        numbered.join(pl.concat(matches), on="x", how="left", maintain_order="left")
        .join(_unjoined(left, scored, pl.concat(passed)), on="x", how="left", maintain_order="left")
        .drop("x")
    )


def _unjoined(left: pl.DataFrame, scored: Scored, passed: pl.Series) -> pl.DataFrame:
    """Why nothing was found, the first that holds."""
    places = (
        _of_customers(left, scored)
        .select("customer", target=pl.col("touchpoint").cast(pl.String))
        .unique()
        .with_columns(is_place=pl.lit(True))
    )
    named = pl.col("target").is_not_null() & pl.col("is_place").is_null()
    return (
        left.join(places, on=["customer", "target"], how="left", maintain_order="left")
        .with_columns(
            has_events=pl.col("customer").is_in(places["customer"].unique().implode()),
            is_named=pl.col("visit").is_not_null() | pl.col("case").is_not_null() | named,
            has_passed=pl.col("x").is_in(passed.implode()),
        )
        .select(
            "x",
            unjoined=pl.when(~pl.col("has_events")).then(pl.lit("no_event"))
            .when("is_named").then(pl.lit("unknown_name"))
            .when("has_passed").then(pl.lit("window_passed"))
            .otherwise(pl.lit("nothing_before")),
        )
    )  # fmt: skip


def _by_event(left: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    wanted = left.filter(pl.col("target").is_not_null()).with_columns(
        id=pl.col("target").str.strip_prefix("events/")
    )
    events = scored.named("id", wanted["id"])
    return wanted.join(events.rename({"us": "event_us"}), on=["id", "customer"]).with_columns(
        gap=pl.col("us") - pl.col("event_us")
    )


def _by_visit(left: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    wanted = _either(left, "visit", "target")
    names = wanted.select("name").unique().with_row_index("code")
    events = scored.named("correlationid", names["name"]).rename({"correlationid": "name"})
    return _latest(
        events.join(names, on="name"), wanted.join(names, on="name"), scored, is_named=True
    )


def _by_case(left: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    wanted = left.filter(pl.col("case").is_not_null()).with_columns(
        code=pl.col("case").cast(pl.Int64) + FIRST_CASE
    )
    strand = pl.col("strand")
    of_cases = scored.sessionised.filter(strand.is_in(wanted["code"].unique().implode()))
    return _latest(of_cases.with_columns(code=strand), wanted, scored, is_named=True)


def _by_place(left: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    # A name that no event's touchpoint has gets no code.
    known = scored.sessionised["touchpoint"].unique().drop_nulls().cast(pl.String).implode()
    target = pl.when(pl.col("target").is_in(known)).then("target").cast(TOUCHPOINT)
    wanted = _either(left.with_columns(target=target), "place", "target")
    wanted = wanted.with_columns(code=pl.col("name").to_physical())
    events = _of_customers(wanted, scored).filter(pl.col("touchpoint").is_not_null())
    events = events.with_columns(code=pl.col("touchpoint").to_physical())
    return _latest(events, wanted, scored)


def _by_journey(left: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    events = _of_customers(left, scored).filter(~pl.col("is_pushed"))
    kind = pl.col("flow").to_physical()
    named = left.filter(pl.col("flow").is_not_null()).with_columns(code=kind)
    others = left.filter(pl.col("flow").is_null()).with_columns(code=pl.lit(0, pl.UInt16))
    of_kind = _latest(events.with_columns(code=pl.col("kind").to_physical()), named, scored)
    of_any = _latest(events.with_columns(code=pl.lit(0, pl.UInt16)), others, scored)
    return pl.concat([of_kind, of_any])


def _of_customers(wanted: pl.DataFrame, scored: Scored) -> pl.DataFrame:
    columns = ("pos", "us", "customer", "touchpoint", "kind", "is_pushed")
    people = wanted["customer"].unique().implode()
    return scored.sessionised.select(columns).filter(pl.col("customer").is_in(people))


def _either(left: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Records once for each of these clues that they give; the first clue goes first."""

    def clues() -> Iterator[pl.DataFrame]:
        for way, name in enumerate(names):
            some = left.select("x", "customer", "us", name=name, way=pl.lit(way, pl.Int8))
            yield some.filter(pl.col("name").is_not_null())

    return pl.concat(clues())


def _latest(
    events: pl.DataFrame, wanted: pl.DataFrame, scored: Scored, *, is_named: bool = False
) -> pl.DataFrame:
    """The latest event of each record's customer and code at or before it: `x`, `pos`, `gap`.

    Where it is named and there is none, the first after it.
    """
    group = pl.col("customer").cast(pl.Int128) * (1 << 33) + pl.col("code")
    key = group * TIMES + pl.col("us")
    latest = events.select("pos", "us", key=key).sort("key")
    if latest["key"].is_duplicated().any():
        latest = latest.hstack(at(scored.sessionised, latest["pos"], "id")).sort("key", "id")
    asking = wanted.with_columns(key=key, group=group)
    place = latest["key"].search_sorted(asking["key"], side="right").cast(pl.Int64) - 1
    asking = asking.with_columns(place=place)
    if is_named and len(latest):
        before = latest["key"].gather(place.clip(0))
        is_other = (place < 0) | (before // TIMES != asking["group"])
        asking = asking.with_columns(place=pl.col("place") + is_other.cast(pl.Int64))
    asking = asking.filter(pl.col("place").is_between(0, len(latest) - 1))
    taken = at(latest, asking["place"], "pos", "us", "key", suffix="_found")
    return (
        asking.hstack(taken)
        .filter(pl.col("key_found") // TIMES == pl.col("group"))
        .with_columns(pos="pos_found", gap=pl.col("us") - pl.col("us_found"))
        .drop("key", "group", "place", "^.*_found$")
    )


#: Ways in their order, and how far back guesses reach.
WAYS: dict[str, tuple[Callable[[pl.DataFrame, Scored], pl.DataFrame], int | None]] = {
    "event": (_by_event, None), "correlation": (_by_visit, None), "case": (_by_case, None),
    "touchpoint": (_by_place, PLACE_REACH), "journey": (_by_journey, JOURNEY_REACH),
}  # fmt: skip
