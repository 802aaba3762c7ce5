"""What the events of a journey say of its beginning and end, and when it closes.

Grain: one journey, in order of `j`.
"""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import CHANNEL, bit
from tests.bench.polars.company import Company


def ends(told: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Journeys of what their events say; no journey of this log may reach its cap."""
    return _of_events(told, company).lazy().pipe(_closing, company).collect()


def _count(which: pl.Expr | None = None) -> pl.Expr:
    return (pl.len() if which is None else which.sum()).cast(pl.Int64)


def _of_events(told: pl.DataFrame, company: Company) -> pl.DataFrame:
    inside, needed = pl.col("direction") == "internal", pl.col("is_need_driven")
    late = (pl.col("direction") == "outbound") & (
        pl.col("last_end") >= pl.col("journey_pos")
    ).fill_null(False)
    decides = pl.col("is_end") | (pl.col("value").is_not_null() & ~late)
    events = told.lazy().with_columns(pl.col("j").set_sorted())
    wait = pl.col("wait_s")
    journeys = (
        events.group_by("j", maintain_order=True)
        .agg(
            pl.col("customer", "kind", "pos", "strand").first(),
            n_events=_count(),
            first_us=pl.col("us").first(),
            last_us=pl.col("us").last(),
            start_us=pl.when(needed | inside).then("us").min(),
            opening_pos=pl.when(needed).then("pos").min(),
            first_owner=pl.col("owner").first(ignore_nulls=True),
            channels=bit(pl.col("channel"), CHANNEL).bitwise_or(),
            n_internal=_count(inside),
            customer_wait_s=pl.when(wait.count() > 0).then(wait.cast(pl.Int64).sum()),
            settled_pos=pl.when("settles").then("pos").max(),
            decided_pos=pl.when(decides).then("pos").max(),
        )
        .with_columns(n_channels=pl.col("channels").bitwise_count_ones().cast(pl.Int64))
        .drop("channels")
        .collect()
    )  # fmt: skip
    kinds = (
        events.filter(inside)
        .select("j", "activity")
        .unique()
        .group_by("j")
        .agg(n_internal_kinds=_count())
        .collect()
    )
    caps = company.types.select("kind", "cap")
    spans = journeys.select("kind", span=pl.col("last_us") - pl.col("first_us"))
    if spans.join(caps, on="kind").select((pl.col("span") > pl.col("cap")).any()).item():
        raise ValueError("a journey outlives its cap: this rival cannot cut it")
    named = {
        "pos": {"id": "first_id"},
        "opening_pos": {"us": "opening_us", "step": "opening_step"},
        "settled_pos": {"us": "settled_us", "is_end": "is_ended"},
        "decided_pos": {
            "us": "decided_us", "is_end": "is_held", "value": "decided_value",
            "outcome": "decided_outcome",
        },
    }  # fmt: skip
    taken = [
        told.select(pl.col(n).gather(journeys[at].cast(pl.UInt32)).alias(to))
        for at, names in named.items()
        for n, to in names.items()
    ]
    whole = pl.concat([journeys, *taken], how="horizontal")
    return whole.join(kinds, on="j", how="left", maintain_order="left")


def _closing(whole: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Deadlines, whether the journey is closed, and by which of them; a case has no silence."""
    types = company.types.lazy().select("kind", "gap", "reopen_window", "cap")
    ended = pl.col("is_ended").fill_null(False)
    by_cap = pl.col("first_us") + pl.col("cap")
    by_end = pl.when(ended).then(pl.col("settled_us") + pl.col("reopen_window"))
    has_silence = ~ended & ~company.is_case(pl.col("strand"))
    by_silence = pl.when(has_silence).then(pl.col("last_us") + pl.col("gap"))
    by_rule = pl.coalesce(by_end, by_silence, by_cap)
    return (
        whole.join(types, on="kind", how="left", maintain_order="left")
        .with_columns(deadline=pl.min_horizontal(by_cap, by_rule))
        .with_columns(
            is_closed=pl.col("deadline") < company.passed,
            rule=pl.when(by_cap <= by_rule).then(pl.lit("cap"))
            .when(ended).then(pl.lit("end rule"))
            .otherwise(pl.lit("silence")),
        )
        .with_columns(close_reason=pl.when("is_closed").then("rule"))
        .drop("gap", "reopen_window", "cap", "rule")
    )  # fmt: skip
