"""What the events of a journey say of its beginning and end, and when it closes.

Grain: one journey, in order of `j`.
"""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import CHANNEL, bit
from tests.bench.polars.company import Company
from tests.bench.polars.cuts import decided


def ends(sessionised: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Journeys of what their events say."""
    return _of_events(sessionised, company).lazy().pipe(_closing, company).collect()


def _count(which: pl.Expr | None = None) -> pl.Expr:
    return (pl.len() if which is None else which.sum()).cast(pl.Int64)


def _of_events(sessionised: pl.DataFrame, company: Company) -> pl.DataFrame:
    inside, needed = pl.col("direction") == "internal", pl.col("is_need_driven")
    late = (pl.col("direction") == "outbound") & (
        pl.col("last_end") >= pl.col("journey_pos")
    ).fill_null(False)
    decides = pl.col("is_end") | (pl.col("value").is_not_null() & ~late)
    events = sessionised.lazy().with_columns(pl.col("j").set_sorted())
    wait = pl.col("wait_s")
    journeys = (
        events.group_by("j", maintain_order=True)
        .agg(
            pl.col("customer", "kind", "pos", "strand").first(),
            n_events=_count(),
            first_us=pl.col("us").first(),
            last_us=pl.col("us").last(),
            end_us=pl.col("end_us").max(),
            start_us=pl.when(needed | inside).then("us").min(),
            opening_pos=pl.when(needed).then("pos").min(),
            shown_us=pl.col("shown_us").first(),
            first_owner=pl.col("owner").first(ignore_nulls=True),
            channels=bit(pl.col("channel"), CHANNEL).bitwise_or(),
            n_internal=_count(inside),
            has_owner=pl.col("owner").is_not_null().any(),
            has_intent=pl.col("intent").is_not_null().any(),
            # after sales alone an unknown intent is not known to come back
            has_comeback=pl.col("intent").is_not_null().any()
            | ~pl.col("is_end").any()
            | (pl.col("is_end") & pl.col("outcome").ne_missing("sold")).any(),
            has_touchpoint=pl.col("touchpoint").is_not_null().any(),
            customer_wait_s=pl.when(wait.count() > 0).then(wait.cast(pl.Int64).sum()),
            settled=pl.when("settles").then("pos").max(),
            outward=pl.when("is_outward").then("pos").max(),
            gone_on=pl.when(~pl.col("is_unasked")).then("pos").max(),
            decided_pos=pl.when(decides).then("pos").max(),
        )
        .with_columns(n_channels=pl.col("channels").bitwise_count_ones().cast(pl.Int64))
        .drop("channels")
        .collect()
    )
    kinds = (
        events.filter(inside)
        .select("j", "activity")
        .unique()
        .group_by("j")
        .agg(n_internal_kinds=_count())
        .collect()
    )
    named = {
        "pos": {"id": "first_id"},
        "opening_pos": {"us": "opening_us", "step": "opening_step"},
        "gone_on": {"us": "gone_us"},
        "decided_pos": {
            "us": "decided_us", "is_end": "decided_end", "is_weak": "decided_weak",
            "value": "decided_value", "outcome": "decided_outcome",
        },
    }  # fmt: skip
    taken = [
        sessionised.select(pl.col(n).gather(journeys[at].cast(pl.UInt32)).alias(to))
        for at, names in named.items()
        for n, to in names.items()
    ]
    whole = pl.concat([journeys, *taken], how="horizontal")
    alone = (pl.col("gone_us") <= pl.col("decided_us")).fill_null(pl.col("gone_us").is_null())
    weak = pl.col("decided_weak") & (pl.col("decided_value") > 0)
    return (
        whole.join(kinds, on="j", how="left", maintain_order="left")
        .lazy()
        .with_columns(started_us=pl.coalesce("start_us", "first_us"))
        .join(_busy(sessionised, whole), on="j", how="left", maintain_order="left")
        .pipe(decided, sessionised)
        .with_columns(
            is_recorded=pl.col("decided_us").is_not_null() & (pl.col("decided_end") | alone)
        )
        .with_columns(
            is_held=(pl.col("decided_end") | (weak & pl.col("is_recorded"))).fill_null(False)
        )
        .collect()
    )


def _busy(sessionised: pl.DataFrame, journeys: pl.DataFrame) -> pl.LazyFrame:
    """Union of the intervals in which somebody talked, from the start of each journey on."""
    talked = sessionised.filter(pl.col("talk_s") > 0).select("j", "us", "end_us")
    starts = journeys.select(
        pl.coalesce("start_us", "first_us").gather(talked["j"].cast(pl.UInt32))
    )
    since = pl.lit(starts.to_series())
    begin = pl.max_horizontal("us", pl.col("end_us").cum_max().shift().over("j"))
    return (
        talked.lazy()
        .with_columns(pl.max_horizontal(name, since).alias(name) for name in ("us", "end_us"))
        .with_columns(busy=pl.max_horizontal(pl.col("end_us") - begin, pl.lit(0, pl.Int64)))
        .group_by("j")
        .agg(busy_us=pl.col("busy").sum())
    )


def _closing(whole: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Deadlines, whether the journey is closed, and by which of them."""
    types = company.types.lazy().select("kind", "gap", "case_gap", "reopen_window", "cap")
    ended = pl.col("ended")
    gap = pl.when(company.is_case(pl.col("strand"))).then("case_gap").otherwise("gap")
    by_cap, by_need = pl.col("first_us") + pl.col("cap"), pl.col("shown_us").shift(-1)
    by_rule = (
        pl.when(ended)
        .then(pl.col("by_us") + pl.col("reopen_window"))
        .otherwise(pl.col("last_us") + gap)
    )
    return (
        whole.join(types, on="kind", how="left", maintain_order="left")
        .with_columns(deadline=pl.min_horizontal(by_need, by_cap, by_rule))
        .with_columns(
            is_closed=pl.col("deadline") < company.passed,
            rule=pl.when((by_need <= pl.min_horizontal(by_cap, by_rule)).fill_null(False))
            .then(pl.lit("new need"))
            .when(by_cap <= by_rule).then(pl.lit("cap"))
            .when(ended).then(pl.lit("end rule"))
            .otherwise(pl.lit("silence")),
        )
        .with_columns(close_reason=pl.when("is_closed").then("rule"))
        .drop(
            "gap", "case_gap", "reopen_window", "cap", "rule", "settled", "outward", "gone_on",
            "gone_us", "shown_us", "by", "by_us", "ended", "is_unsure",
        )
    )  # fmt: skip
