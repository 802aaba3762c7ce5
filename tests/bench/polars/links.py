"""Hand-offs seen and asked for, with the context that went over. Grain: one hand-off."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tests.bench.polars.codes import OUTCOME, latest, one_of
from tests.bench.polars.company import Company
from tests.bench.polars.fields import Fields, within

#: Later than any step.
LAST = (1 << 31) - 1


@dataclass(frozen=True)
class Handoffs:
    """`seen`: by a change of owner or team, with context; `asked`: by `to_owner`."""

    seen: pl.DataFrame
    asked: pl.DataFrame
    ping_pongs: pl.DataFrame


def handoffs(
    sessionised: pl.DataFrame, steps: pl.DataFrame, fields: Fields, company: Company
) -> Handoffs:
    """All hand-offs of a log."""
    links = _links(steps).collect()
    seen = links.filter(
        pl.col("j") == pl.col("j_before"),
        (pl.col("owner") != pl.col("owner_before"))
        | (pl.col("team") != pl.col("team_before")).fill_null(False),
        ~(
            (pl.col("touchpoint") == pl.col("touchpoint_before"))
            & pl.col("owner_from_table")
            & pl.col("owner_from_table_before")
        ).fill_null(False),
    ).select("step", "j", "pos", giver="step_before")
    return Handoffs(
        _context(seen, sessionised, fields), _asked(sessionised, company), _ping_pongs(links)
    )


def _links(steps: pl.DataFrame) -> pl.LazyFrame:
    """Steps that have an owner, without consultations, each with the one before it."""
    j, owner, outcome = pl.col("j"), pl.col("owner"), pl.col("outcome")
    solved = one_of(outcome, OUTCOME, "resolved", "sold", "informed", "partly")
    is_consultation = (
        (pl.col("direction") == "internal")
        & ~pl.col("has_receiver")
        & (j == j.shift())
        & (j == j.shift(-1))
        & (owner.shift() == owner.shift(-1))
        & (owner != owner.shift())
    )
    before = ("step", "j", "owner", "team", "touchpoint", "owner_from_table")
    return (
        steps.lazy()
        .filter(owner.is_not_null(), ~pl.col("is_pushed"))
        .select(
            *before, "pos", "outcome", "is_worked", is_consultation=is_consultation.fill_null(False)
        )
        .filter(~pl.col("is_consultation"))
        .with_columns(
            pl.col(before).shift().name.suffix("_before"),
            judged_step=latest(outcome.is_not_null(), pl.col("step")),
            is_solved=latest(outcome.is_not_null(), solved),
        )
    )


def _ping_pongs(links: pl.DataFrame) -> pl.DataFrame:
    """Steps that come back to the owner before the last, and how `sure` it is: not solved, or .5
    where nothing is known of it and both have worked.
    """
    is_head = (pl.col("j") != pl.col("j_before")) | (pl.col("owner") != pl.col("owner_before"))
    step, worked = pl.col("step"), pl.col("has_worked")
    unsolved = pl.when("is_solved").then(0.0).otherwise(1.0)
    perhaps = pl.when(worked & worked.shift()).then(0.5).otherwise(0.0)
    return (
        links.lazy()
        .select(
            "step",
            "j",
            "owner",
            is_head=is_head.fill_null(True),
            judged_step=pl.col("judged_step").shift(),
            is_solved=pl.col("is_solved").shift(),
            worked_step=pl.when("is_worked").then("step").backward_fill(),
        )
        .filter("is_head")
        .with_columns(
            is_judged=(pl.col("judged_step") >= step.shift()).fill_null(False),
            has_worked=(pl.col("worked_step") < step.shift(-1).fill_null(LAST)).fill_null(False),
        )
        .with_columns(sure=pl.when("is_judged").then(unsolved).otherwise(perhaps))
        .filter(
            pl.col("j") == pl.col("j").shift(2),
            pl.col("owner") == pl.col("owner").shift(2),
            pl.col("sure") > 0,
        )
        .select("step", "sure")
        .collect()
    )


def _context(seen: pl.DataFrame, sessionised: pl.DataFrame, fields: Fields) -> pl.DataFrame:
    """What was known, what passed and what the receiver asked or took again."""
    known = fields.known.lazy().select(
        "step", "field", "op", "basis", "first_observed", "first_any"
    )
    steps = seen.lazy().select("step", "giver", start="pos")
    passed = known.filter(pl.col("op") == "passed")
    of_giver = passed.join(steps, left_on="step", right_on="giver").select(
        "field", "op", "basis", "first_observed", "first_any", "start",
        step="step_right", is_receiver=pl.lit(False),
    )  # fmt: skip
    of_receiver = known.join(steps, on="step").select(
        "field", "op", "basis", "first_observed", "first_any", "start",
        "step", is_receiver=pl.lit(True),
    )  # fmt: skip
    is_passed, is_seen = pl.col("op") == "passed", pl.col("basis") == 0
    was_seen = (pl.col("first_observed") < pl.col("start")).fill_null(False)
    was_any = (pl.col("first_any") < pl.col("start")).fill_null(False)
    is_again = ~is_passed & pl.col("is_receiver")
    told_of = (
        pl.concat([of_giver, of_receiver])
        .select(
            "step",
            of_step=within("step"),
            passes=is_passed & is_seen,
            n_passed=is_passed & is_seen & was_seen,
            n_again=is_again & is_seen & was_seen,
            passes_any=is_passed,
            n_passed_any=is_passed & was_any,
            n_again_any=is_again & was_any,
        )
        .filter(pl.col("passes_any") | pl.col("n_again_any"))
        .group_by("of_step")
        .agg(pl.col("step").first(), pl.all().exclude("step").any())
        .group_by("step")
        .agg(pl.col("^passes.*$").any(), pl.col("^n_.*$").sum().cast(pl.Int64))
    )
    counts = pl.col("^n_.*$").fill_null(0)
    return (
        seen.lazy()
        .with_columns(
            n_known=_given_before(seen, sessionised, fields.gives["first_observed"]),
            n_known_any=_given_before(seen, sessionised, fields.gives["first_any"]),
        )
        .join(told_of, on="step", how="left")
        .with_columns(counts, pl.col("^passes.*$").fill_null(False))
        .with_columns(
            is_seen=(pl.col("n_known") > 0) & (pl.col("passes") | (pl.col("n_again") > 0)),
            is_said=(pl.col("n_known_any") > 0)
            & (pl.col("passes_any") | (pl.col("n_again_any") > 0)),
        )
        .select("step", "giver", "j", "pos", *_chosen())
        .with_columns(context=_how_much())
        .sort("step")
        .collect()
    )


def _given_before(seen: pl.DataFrame, sessionised: pl.DataFrame, firsts: pl.Series) -> pl.Series:
    """Fields given in the journey so far: events of a journey lie together, so two searches do."""
    given = firsts.drop_nulls().sort()
    begins = sessionised["journey_pos"].gather(seen["pos"].cast(pl.UInt32))
    before = [given.search_sorted(pos, side="left").cast(pl.Int64) for pos in (seen["pos"], begins)]
    return before[0] - before[1]


def _chosen() -> list[pl.Expr]:
    """What was observed; where nothing was, what is declared."""
    declared = pl.col("is_said") & ~pl.col("is_seen")
    return [
        declared.alias("is_declared"),
        (pl.col("is_seen") | pl.col("is_said")).alias("is_measured"),
        *(
            pl.when(declared).then(f"{name}_any").otherwise(name).alias(name)
            for name in ("n_known", "n_passed", "n_again")
        ),
    ]


def _how_much() -> pl.Expr:
    return (
        pl.when(~pl.col("is_measured")).then(pl.lit("unknown"))
        .when(pl.col("n_passed") == 0).then(pl.lit("none"))
        .when(pl.col("n_passed") < pl.col("n_known")).then(pl.lit("part"))
        .otherwise(pl.lit("full"))
    )  # fmt: skip


def _asked(sessionised: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Hand-offs asked for, and who of the owner asked for took them up first."""
    offered = sessionised.filter(pl.col("to_owner").is_not_null())
    agreed = company.levels.rows.filter(pl.col("level") == "handoff")
    for_all = agreed.filter(pl.col("to_owner").is_null())
    asking = (
        offered.with_columns(piece=company.levels.piece(offered["us"]))
        .join(company.types.select("kind", "handoff_due"), on="kind", how="left")
        .join(
            agreed.select("kind", "piece", "to_owner", "span"),
            on=["kind", "piece", "to_owner"], how="left",
        )
        .join(
            for_all.select("kind", "piece", span_of_all="span"), on=["kind", "piece"], how="left"
        )
        .select(
            "pos", "step", "j", "us", "id", "to_owner", "session_pos",
            due=pl.col("us") + pl.coalesce("span", "span_of_all", "handoff_due"),
        )
    )  # fmt: skip
    asks = asking.lazy().select("j", owner="to_owner", asked_pos="pos", asked_session="session_pos")
    taken = (
        sessionised.lazy()
        .filter(pl.col("actor_type") != "customer", pl.col("owner").is_not_null())
        .join(asks, on=["j", "owner"])
        .filter(
            pl.col("pos") > pl.col("asked_pos"),
            (pl.col("direction") != "inbound")
            | (pl.col("actor_type") == "human")
            | (pl.col("session_pos") == pl.col("asked_session")),
        )
        .group_by("asked_pos")
        .agg(received_pos=pl.col("pos").min(), received_step=pl.col("step").min())
        .collect()
    )
    return asking.join(taken, left_on="pos", right_on="asked_pos", how="left").with_columns(
        is_dropped=pl.col("received_pos").is_null() & (pl.col("due") < company.passed)
    )
