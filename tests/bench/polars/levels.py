"""Service levels and whether they were achieved. Grain: one level of a journey.

The log never waits for the customer, and no promise of it is a level: clocks never stand.
"""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import ACTOR, CHANNEL, one_of
from tests.bench.polars.company import Company
from tests.bench.polars.promises import TOO_LATE


def levels(sessionised: pl.DataFrame, ends: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Levels that held when a journey began."""
    opened = ends.lazy().filter(pl.col("opening_pos").is_not_null()).collect()
    agreed = company.levels.rows.filter(pl.col("level").is_in(["response", "resolution"]))
    begun = (
        opened.select(
            "j", "kind", "is_held", "decided_us", "decided_pos", "is_closed", "opening_pos",
            us="opening_us", step="opening_step",
        )
        .with_columns(piece=company.levels.piece(opened["opening_us"]))
        .lazy()
        .join(agreed.lazy().drop("to_owner"), on=["kind", "piece"])
        .join(_answered(sessionised, opened).lazy(), on="j", how="left")
    )  # fmt: skip
    answer, due = pl.col("level") == "response", pl.col("due")
    holds = pl.col("is_held") & (pl.col("decided_pos") >= pl.col("opening_pos"))
    met = pl.when(answer).then("answered_us").when(holds).then("decided_us")
    judged = begun.with_columns(due=pl.col("us") + pl.col("span"), met_us=met)
    late = pl.col("met_us") > due
    return judged.select(
        "j", "sla", "level", "step", "us", "due", "met_us", pos="opening_pos",
        status=pl.when(late).then(pl.lit("breached"))
        .when(pl.col("met_us").is_not_null() & (answer | pl.col("is_closed")))
        .then(pl.lit("achieved"))
        .when(pl.col("met_us").is_null() & (due < company.passed)).then(pl.lit("breached"))
        .otherwise(pl.lit("open")),
        is_late=(pl.col("met_us") <= due + TOO_LATE).fill_null(due + TOO_LATE >= company.passed),
    ).collect()  # fmt: skip


def _answered(sessionised: pl.DataFrame, opened: pl.DataFrame) -> pl.DataFrame:
    """First answer of a human after each opening."""
    actor, direction = pl.col("actor_type"), pl.col("direction")
    written = (direction == "outbound") & one_of(actor, ACTOR, "human", "partner")
    talks = one_of(pl.col("channel"), CHANNEL, "phone", "branch", "visit", "chat")
    spoken = (direction == "inbound") & (actor == "human") & talks
    return (
        sessionised.lazy()
        .filter((written | spoken) & ~pl.col("is_pushed"))
        .select("j", "pos", "us")
        .join(opened.lazy().select("j", "opening_pos"), on="j")
        .filter(pl.col("pos") >= pl.col("opening_pos"))
        .group_by("j")
        .agg(answered_us=pl.col("us").min())
        .collect()
    )
