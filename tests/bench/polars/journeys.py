"""Threads (customer and type) cut into journeys. Grain: one event, in thread order."""

from __future__ import annotations

import polars as pl

from tests.bench.polars import codes, cuts
from tests.bench.polars.codes import changed, family, latest, one_of, outcome_value
from tests.bench.polars.company import FIRST_CASE, Company

NEEDED = ("due", "need", "preference")
#: Microseconds up to the year 2200 take 53 bits.
TIMES = 1 << 53
KEPT = (
    "customer", "id", "time", "channel", "activity", "direction", "actor_type", "touchpoint",
    "owner", "intent", "outcome", "to_owner", "wait_s", "talk_s", "message_kind",
    "relevance_basis", "event", "kind", "strand",
)  # fmt: skip


def in_threads(events: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Events in order of customer, strand, time and id; `event` is their row in `events`.

    A strand is a case, or what of one type belongs to none.
    """
    kinds = company.places.select("touchpoint", "place_kind")
    case = pl.col("case_id").to_physical()
    of_case = pl.when(
        pl.lit(company.cases.since).gather(case) <= pl.col("time").dt.timestamp("us")
    ).then(pl.lit(company.cases.kinds).gather(case))
    told_kinds = [of_case] if len(company.cases.names) else []
    ordered = (
        events.drop("info", "promise", "correlationid")
        .with_row_index("event")
        .join(kinds, on="touchpoint", how="left", maintain_order="left")
        .with_columns(
            kind=pl.coalesce(
                *told_kinds, "journey_type", "place_kind", pl.lit("other").cast(codes.TYPE)
            )
        )
        .with_columns(
            strand=pl.coalesce(
                case.cast(pl.Int64) + FIRST_CASE, pl.col("kind").to_physical().cast(pl.Int64)
            )
        )
        .select(KEPT)
    )
    thread = pl.col("customer").cast(pl.Int128) * (1 << 33) + pl.col("strand")
    # One whole number sorts much faster than a row of keys; ids are looked at for ties only.
    ordered = ordered.sort(thread * TIMES + pl.col("time").dt.timestamp("us"))
    tied = ~(changed("customer") | changed("strand") | changed("time"))
    if ordered.select(tied.any()).item():
        ordered = ordered.sort("customer", "strand", "time", "id")
    return ordered


def described(threads: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Events with what touchpoint and type say of them."""
    types = company.types.lazy().select(
        "kind", "gap", "case_gap", "reopen_window", "cap", "end_bits", "weak_bits"
    )
    places = company.places.lazy().select("touchpoint", "place_owner", "team", "expected_wait_s")
    outbound = pl.col("direction") == "outbound"
    message, basis = pl.col("message_kind"), pl.col("relevance_basis")
    kind_of_message, needed = codes.MESSAGE, one_of(basis, codes.BASIS, *NEEDED)
    end = codes.bit(pl.col("outcome"), codes.OUTCOME)
    return (
        threads.join(places, on="touchpoint", how="left", maintain_order="left")
        .join(types, on="kind", how="left", maintain_order="left")
        .with_columns(
            gap=pl.when(company.is_case(pl.col("strand"))).then("case_gap").otherwise("gap"),
            us=pl.col("time").dt.timestamp("us"),
            owner=pl.coalesce("owner", "place_owner"),
            owner_from_table=pl.col("owner").is_null() & pl.col("place_owner").is_not_null(),
            family=family(pl.col("channel")),
            is_need_driven=(pl.col("direction") == "inbound") | (outbound & needed),
            is_message=outbound
            & one_of(pl.col("actor_type"), codes.ACTOR, "bot", "system")
            & message.is_not_null(),
            is_pushed=outbound & one_of(message, kind_of_message, "marketing", "upsell", "survey"),
            is_sales=outbound & one_of(message, kind_of_message, "marketing", "upsell"),
            is_upsell=one_of(message, kind_of_message, "upsell"),
            is_unasked=outbound & message.is_not_null() & ~needed,
            is_end=((pl.col("end_bits") & end) > 0).fill_null(False),
            is_weak=((pl.col("weak_bits") & end) > 0).fill_null(False),
            value=outcome_value(pl.col("outcome")),
        )
        .drop("place_owner", "case_gap", "end_bits", "weak_bits", "message_kind", "relevance_basis")
    )


def cut(threads: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Events with their journey `j`, numbered from 0, and where it begins, `journey_pos`.

    `shown_us`, at the first event of a journey that a new need began, is when that showed.
    """
    outbound = pl.col("direction") == "outbound"
    rows = (
        described(threads.lazy(), company)
        .with_row_index("pos")
        .with_columns(
            pos=pl.col("pos").cast(pl.Int32),
            begins_thread=changed("customer") | changed("strand"),
            settles=pl.col("is_end") | (pl.col("value").is_not_null() & ~outbound),
            is_outward=pl.col("is_weak") & outbound,
        )
        .with_columns(thread_pos=latest(pl.col("begins_thread"), pl.col("pos")))
        .collect()
    )
    begins = cuts.begins(rows)
    return (
        rows.hstack(begins)
        .lazy()
        .with_columns(
            j=pl.col("begins").cum_sum().cast(pl.Int32) - 1,
            journey_pos=latest(pl.col("begins"), pl.col("pos")),
        )
        .drop("begins_thread", "thread_pos", "begins", "gap", "reopen_window", "cap")
        .collect()
    )
