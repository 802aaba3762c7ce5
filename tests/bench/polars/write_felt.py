"""The tables of service levels, answers and what was felt, as rejse publishes them."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tests.bench.polars.codes import DAY, SECOND, at
from tests.bench.polars.write import OF_JOURNEY, Whole, owed_by, time

FELT = (
    "outcome01", "delivery01", "friction_score", "n_records", "n_invited", "n_answered",
    "n_pending", "n_uninvited", "n_unasked", "n_inside", "n_ignored", "n_scores", "experience01",
    "n_emotions", "n_emotions_unasked", "emotion_first", "emotion_peak", "emotion_lowest",
    "emotion_end", "emotion_slope", "health", "health_lo", "health_hi", "health_coverage",
    "lost_by_outcome", "lost_by_delivery", "lost_by_experience", "limiting_component",
    "is_relief", "n_asked_understood", "is_final",
)  # fmt: skip


def is_known(method: pl.Expr, passed: int) -> pl.Expr:
    """No event that may still come changes what a record is about."""
    by_event = (method == "event").fill_null(False)
    return (pl.col("us") + DAY < passed) & (pl.col("target").is_null() | by_event)


def out_sla_results(whole: Whole) -> pl.LazyFrame:
    """Results of service levels."""
    levels = whole.findings.levels
    steps = at(whole.steps, levels["step"], *OF_JOURNEY)
    steps = steps.with_columns(owner=owed_by(whole, levels["step"]))
    return levels.hstack(steps).lazy().select(
        "journey_id", "customer_key", "sla", "owner", "status", "is_final",
        pl.col("level").alias("kind"), time(pl.col("us")).alias("started_at"),
        time(pl.col("due")).alias("due_at"), time(pl.col("met_us")).alias("met_at"),
        ((pl.col("met_us") - pl.col("us")) // SECOND).alias("elapsed_s"),
    )  # fmt: skip


def out_experience(whole: Whole) -> pl.LazyFrame:
    """Answers, with what they are about."""
    opinions = whole.opinions
    about = pl.concat(
        [
            opinions,
            whole.customers.select(pl.col("customer_key").gather(opinions["customer"])),
            at(whole.journeys, opinions["j"], "journey_id", "kind", "is_final"),
            at(whole.steps, opinions["step"], "step_id", "touchpoint", "owner"),
        ],
        how="horizontal",
    )
    of_whole, asked = pl.col("part") == "whole", pl.col("is_solicited")
    return about.lazy().select(
        pl.concat_str(pl.lit("surveys/"), "answer_no").alias("x_id"),
        "customer_key", "journey_id", "step_id", pl.col("who").alias("respondent_type"),
        "instrument", "level", pl.col("time").alias("occurred_at"),
        pl.coalesce("flow", "kind").alias("journey_type"),
        pl.coalesce("place", "touchpoint").alias("touchpoint"),
        "owner", pl.col("points").alias("raw_score"), pl.col("least").alias("scale_min"),
        pl.col("most").alias("scale_max"), "is_solicited", "is_answered",
        pl.when(of_whole | asked).then("part").alias("scored_as"),
        "invited_at", "responded_at", "acted_at", pl.col("method").alias("join_method"),
        "unjoined", pl.col("u").alias("score01"), "is_top_box", "is_ignored", "is_invited",
        "is_in_time",
        pl.col("gap").floordiv(SECOND).alias("join_gap_s"),
        (pl.col("is_known") & pl.col("is_final").fill_null(True)).alias("is_final"),
    )  # fmt: skip


def out_journey_experience(whole: Whole) -> pl.LazyFrame:
    """Journeys that somebody was asked about or spoke of."""
    health = pl.col("health")
    band = (
        pl.when(health.is_null()).then(None)
        .when(health >= 80).then(pl.lit("good"))
        .when(health >= 60).then(pl.lit("fair"))
        .otherwise(pl.lit("poor"))
    )  # fmt: skip
    return whole.felt.lazy().select(
        "journey_id", "customer_key", pl.col("kind").alias("journey_type"), "owner",
        time(pl.col("started_us")).alias("started_at"), time(pl.col("last_us")).alias("ended_at"),
        pl.when("is_closed").then(pl.lit("closed")).otherwise(pl.lit("open")).alias("state"),
        *FELT,
        _share("n_answered", "n_invited").alias("response_share"),
        pl.col("step_mean").alias("touchpoint_score_mean"),
        pl.col("whole").alias("journey_score"),
        (pl.col("step_mean") - pl.col("whole")).alias("silo_gap"),
        band.alias("band"),
        _share("n_understood", "n_asked_understood").alias("empathy_share"),
    )  # fmt: skip


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


TABLES: dict[str, Callable[[Whole], pl.LazyFrame]] = {
    "sla_results": out_sla_results,
    "experience": out_experience,
    "journey_experience": out_journey_experience,
}
