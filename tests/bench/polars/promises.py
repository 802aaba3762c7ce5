"""Promises and their fate. Grain: one promise of a customer.

The log moves no promise: `n_moves` is counted, the due time in force is that of `made`. What comes
after the give-up that follows it (without one, the making) is no part of the promise.
"""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import DAY, at
from tests.bench.polars.company import Company

TOO_LATE = 30 * DAY
END = pl.coalesce("due", "us") + TOO_LATE


def promises(events: pl.DataFrame, sessionised: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Promises that someone made, in order of customer and time."""
    operations = _operations(events, sessionised)
    of = ["customer", "promise_id"]
    made = operations.filter(pl.col("op") == "made").unique(of, keep="first", maintain_order=True)
    later = (
        operations.join(made.select(*of, made_order="order", until=END), on=of)
        .filter(pl.col("order") > pl.col("made_order"), pl.col("us") <= pl.col("until"))
        .with_columns(closes=pl.col("op").is_in(["delivered", "cancelled"]))
    )
    n_moves = later.group_by(of).agg(
        n_moves=pl.col("op").is_in(["moved", "made"]).sum().cast(pl.Int64)
    )
    closed = (
        later.filter("closes")
        .unique(of, keep="first", maintain_order=True)
        .select(*of, end_op="op", end_us="us", end_pos="pos", end_by="actor_type")
    )
    return (
        made.join(n_moves, on=of, how="left")
        .join(closed, on=of, how="left")
        .with_columns(status=_status(company.passed), n_moves=pl.col("n_moves").fill_null(0))
        .select(
            "pos", "j", "step", "us", "due", "kind", "promise_id", "n_moves", "status",
            made_by="actor_type",
            delivered_us=pl.when(pl.col("end_op") == "delivered").then("end_us"),
        )
    )  # fmt: skip


def _operations(events: pl.DataFrame, sessionised: pl.DataFrame) -> pl.DataFrame:
    """Events that name a promise, in order of customer, time and id."""
    has_promise = events.select(pl.col("promise").is_not_null()).to_series()
    rows = sessionised.lazy().filter(has_promise.gather(sessionised["event"])).select(
        "customer", "pos", "j", "step", "us", "id", "actor_type", "event"
    ).collect()  # fmt: skip
    promise = at(events, rows["event"], "promise").unnest("promise")
    return (
        rows.hstack(
            promise.select("kind", "op", promise_id="id", due=pl.col("due_time").dt.timestamp("us"))
        )
        .sort("customer", "us", "id")
        .with_row_index("order")
    )


def _status(passed: int) -> pl.Expr:
    due, end = pl.col("due"), pl.col("end_us")
    in_time = (end <= due).fill_null(True)
    cancelled, delivered = (pl.col("end_op") == op for op in ("cancelled", "delivered"))
    return (
        pl.when(cancelled & (pl.col("end_by") == "customer") & in_time).then(pl.lit("cancelled"))
        .when(cancelled).then(pl.lit("broken"))
        .when(delivered & in_time).then(pl.lit("kept"))
        .when(delivered).then(pl.lit("late"))
        .when(due + TOO_LATE < passed).then(pl.lit("broken"))
        .when(due < passed).then(pl.lit("late"))
        .otherwise(pl.lit("open"))
    )  # fmt: skip
