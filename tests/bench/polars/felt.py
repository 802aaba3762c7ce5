"""What somebody felt on a journey: who answered, scores, curve, health. Grain: one journey."""

from __future__ import annotations

from statistics import NormalDist

import polars as pl

from tests.bench.polars.codes import at
from tests.bench.polars.scores import DELIVERY_PART, LEAST, OUTCOME_PART

EXPERIENCE_PART = 0.25
RELIEVED_FROM = 50
LOW_PART, LAST_PART, MEAN_PART = 0.4, 0.4, 0.2
CARRIED = (
    "journey_id", "customer_key", "kind", "owner", "started_us", "last_us", "is_closed",
    "outcome01", "delivery01", "friction_score", "friction_score_lo", "friction_score_hi",
    "is_final",
)  # fmt: skip


def joined(records: pl.DataFrame, matches: pl.DataFrame, sessionised: pl.DataFrame) -> pl.DataFrame:
    """Records with journey, step, and what they are part of: a step's score or the whole's."""
    places = at(sessionised, matches["pos"], "j", "step")
    by_step = pl.col("method") != "journey"
    measured = pl.col("is_customer") & pl.col("u").is_not_null()
    at_step = (pl.col("level") == "touchpoint") & by_step
    whole = (pl.col("level") == "journey") & pl.col("is_solicited") & pl.col("j").is_not_null()
    return (
        pl.concat([records, matches, places], how="horizontal")
        .with_columns(step=pl.when(by_step).then("step"))
        .with_columns(
            part=pl.when(measured & at_step)
            .then(pl.lit("step"))
            .when(measured & whole)
            .then(pl.lit("whole"))
        )
    )


def felt(opinions: pl.DataFrame, journeys: pl.DataFrame) -> pl.DataFrame:
    """Journeys with a record; records lie in order, so that the last of a group is the latest."""
    of_journeys = opinions.lazy().filter(pl.col("j").is_not_null())
    counted = of_journeys.group_by("j", maintain_order=True).agg(**_counts()).collect()
    whole = (
        counted.lazy()
        .join(_of_steps(of_journeys), on="j", how="left", maintain_order="left")
        .with_columns(pl.col("n_asked", "n_emotions", "n_emotions_unasked").fill_null(0))
        .pipe(_experienced)
        .collect()
    )
    carried = at(journeys, whole["j"], *CARRIED)
    return whole.hstack(carried).lazy().pipe(_healthy).collect()


def _counts() -> dict[str, pl.Expr]:
    customer, answered, invited = (
        pl.col(name) for name in ("is_customer", "is_answered", "is_invited")
    )
    unlogged, solicited = customer & answered & ~invited, pl.col("is_solicited")
    matured, whole = pl.col("is_in_time").is_not_null(), pl.col("part") == "whole"
    understood = customer & (pl.col("instrument") == "empathy")
    counts = {
        "n_invited": customer & matured,
        "n_answered": customer & pl.col("is_in_time"),
        "n_pending": customer & invited & ~matured,
        "n_uninvited": unlogged & solicited,
        "n_unasked": unlogged & ~solicited,
        "n_inside": ~customer & answered,
        "n_ignored": pl.col("is_ignored"),
        "n_asked_understood": understood & pl.col("u").is_not_null(),
        "n_understood": understood & (pl.col("u") > 0.5),
    }
    return {
        "n_records": pl.len().cast(pl.Int64),
        **{name: which.sum().cast(pl.Int64) for name, which in counts.items()},
        "whole": pl.col("u").filter(whole).last(),
        "is_top_whole": pl.col("is_top_box").filter(whole).last(),
        "are_final": pl.col("is_known").all(),
    }


def _of_steps(records: pl.LazyFrame) -> pl.LazyFrame:
    """Scores and the curve over the steps of each journey, in their order."""
    asked, u = pl.col("is_solicited"), pl.col("u")
    by_step = (
        records.filter(pl.col("part") == "step")
        .group_by("step", maintain_order=True)
        .agg(
            pl.col("j").first(),
            asked=u.filter(asked).mean(),
            is_top=pl.col("is_top_box").filter(asked).last(),
            unasked=u.filter(~asked).mean(),
        )
        .sort("step")
        .with_columns(
            emotion=pl.coalesce("asked", "unasked"),
            k=pl.int_range(pl.len()).over("j").cast(pl.Float64),
        )
    )
    scored, emotion, k, n = pl.col("asked"), pl.col("emotion"), pl.col("k"), pl.len()
    across = n * (k * emotion).sum() - k.sum() * emotion.sum()
    along = n * (k * k).sum() - k.sum().pow(2)
    return by_step.group_by("j", maintain_order=True).agg(
        n_asked=scored.count().cast(pl.Int64),
        step_mean=scored.mean(),
        step_sum=scored.sum(),
        step_least=scored.min(),
        step_last=scored.last(ignore_nulls=True),
        is_top_step=pl.col("is_top").last(ignore_nulls=True),
        n_emotions=n.cast(pl.Int64),
        n_emotions_unasked=scored.null_count().cast(pl.Int64),
        emotion_first=emotion.first(),
        emotion_peak=emotion.max(),
        emotion_lowest=emotion.min(),
        emotion_end=emotion.last(),
        emotion_slope=pl.when(n > 1).then(across / along),
    )


def _shrinkage(n: int) -> float:
    """How much of the lowest score's distance from the mean counts among n scores (Blom)."""

    def expected(of: int) -> float:
        return NormalDist().inv_cdf((of - 0.375) / (of + 0.25))

    return expected(2) / expected(n) if n > 2 else 1.0


def _experienced(whole: pl.LazyFrame) -> pl.LazyFrame:
    """X: the steps' scores in their order, the last one about the whole journey appended."""
    n, mean, least = pl.col("n_scores"), pl.col("mean"), pl.col("least")
    most = whole.select(pl.col("n_asked").max()).collect().item() or 0
    shrunk = pl.lit(pl.Series([_shrinkage(of) for of in range(most + 2)])).gather(n.cast(pl.UInt32))
    felt = LOW_PART * (mean - (mean - least) * shrunk) + LAST_PART * pl.col("u_last")
    has_whole = pl.col("whole").is_not_null()
    return (
        whole.with_columns(n_scores=pl.col("n_asked") + has_whole)
        .with_columns(
            mean=pl.when(n > 0).then(
                (pl.col("step_sum").fill_null(0) + pl.col("whole").fill_null(0)) / n
            ),
            least=pl.min_horizontal("step_least", "whole"),
            u_last=pl.coalesce("whole", "step_last"),
            is_top_last=pl.when(has_whole).then("is_top_whole").otherwise("is_top_step"),
        )
        .with_columns(experience01=(felt + MEAN_PART * mean).clip(0, 1))
    )


def _lost(part: float, value: pl.Expr) -> pl.Expr:
    return part * (1 / value.clip(lower_bound=LEAST) - 1)


def _healthy(whole: pl.LazyFrame) -> pl.LazyFrame:
    """Health of closed journeys with an experience, and which component lost what of it."""
    outcome, x = pl.col("outcome01"), pl.col("experience01")
    weight = pl.when(outcome.is_null()).then(DELIVERY_PART + EXPERIENCE_PART).otherwise(1.0)
    lost_o = _lost(OUTCOME_PART, outcome)
    others = lost_o.fill_null(0) + _lost(EXPERIENCE_PART, x)
    deliveries = {
        "": pl.col("delivery01"),
        "_lo": 1 - pl.col("friction_score_hi") / 100,
        "_hi": 1 - pl.col("friction_score_lo") / 100,
    }
    has_health = pl.col("is_closed") & x.is_not_null()
    health = {
        f"health{side}": pl.when(has_health).then(
            100 * weight / (weight + others + _lost(DELIVERY_PART, delivery))
        )
        for side, delivery in deliveries.items()
    }
    lost = {"outcome": lost_o, "delivery": _lost(DELIVERY_PART, deliveries[""]),
            "experience": _lost(EXPERIENCE_PART, x)}  # fmt: skip
    loss = others + lost["delivery"]
    shares = {
        f"lost_by_{name}": pl.when(has_health & part.is_not_null()).then(
            pl.when(loss > 0).then(part / loss).otherwise(0.0)
        )
        for name, part in lost.items()
    }
    by_outcome = lost_o.fill_null(0)
    limiting = (
        pl.when(~has_health | (loss == 0))
        .then(None)
        .when((by_outcome >= lost["delivery"]) & (by_outcome >= lost["experience"]))
        .then(pl.lit("outcome"))
        .when(lost["delivery"] >= lost["experience"])
        .then(pl.lit("delivery"))
        .otherwise(pl.lit("experience"))
    )
    parts = OUTCOME_PART * outcome.is_not_null() + DELIVERY_PART + EXPERIENCE_PART * x.is_not_null()
    relieved = pl.col("is_top_last") & (pl.col("friction_score") >= RELIEVED_FROM)
    return whole.with_columns(
        **health,
        **shares,
        limiting_component=limiting,
        health_coverage=parts,
        is_relief=pl.when(pl.col("is_top_last").is_not_null()).then(relieved),
        is_final=pl.col("is_final") & pl.col("are_final"),
    )
