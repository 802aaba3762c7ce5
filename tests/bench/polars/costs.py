"""What friction costs: minutes measured, else as the rates say, and money. Grain: one piece."""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import KIND, changed, one_of
from tests.bench.polars.company import Company

AGAIN = ("reasked_info", "repeat_contact", "channel_fallback", "reopened", "rework", "transfer")


def priced(pieces: pl.DataFrame, sessionised: pl.DataFrame, company: Company) -> pl.DataFrame:
    """Pieces with minutes of both sides, whether they are measured, and what they cost."""
    rates = company.rates
    kind = pieces["kind"].to_physical().cast(pl.Int64)
    row = kind * len(rates.begins) + rates.piece(pieces["us"])
    rate = rates.rows.select(pl.all().gather(row.cast(pl.UInt32)).name.prefix("said_"))
    worked = (
        _worked(pieces, sessionised) if company.is_priced else pl.Series([None], dtype=pl.Float64)
    )
    halves = {
        f"of_{side}": pl.col(f"minutes_{side}") * pl.col(f"said_rate_{side}")
        for side in ("customer", "company")
    }
    known = [pl.col(name).is_not_null() for name in halves]
    cost = pl.sum_horizontal(*halves)  # passes over nulls
    timed = (
        pieces.hstack(rate)
        .lazy()
        .with_columns(worked=pl.lit(worked))
        .with_columns(
            is_waited=pl.col("minutes").is_not_null(),
            is_worked=pl.col("worked").is_not_null(),
            minutes_customer=pl.coalesce("minutes", "said_minutes_customer"),
            minutes_company=pl.coalesce("worked", "said_minutes_company"),
        )
        .collect()
    )
    once = [
        _once(timed, "minutes_customer", "is_waited"),
        _once(timed, "minutes_company", "is_worked"),
    ]
    return (
        timed.lazy()
        .with_columns(column for columns in once for column in columns)
        .with_columns(**halves)
        .with_columns(n_priced=pl.sum_horizontal(known).cast(pl.Int64))
        .with_columns(
            cost=pl.when(pl.col("n_priced") > 0).then(cost),
            currency=pl.when(pl.col("n_priced") > 0).then("said_currency"),
        )
        .drop("^said_.*$", "worked", "minutes", *halves)
        .collect()
    )


def _once(pieces: pl.DataFrame, minutes: str, is_measured: str) -> pl.DataFrame:
    """Minutes of each step with one of its pieces, 0 with its others that have some: the most
    measured ones, else the most assumed ones, at equal ones those of the first rank.
    """
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    known = pl.col(minutes).is_not_null()
    chosen = (
        pieces.lazy()
        .select("step", minutes, is_measured, "kind_rank", row=row)
        .filter(known & pl.col("step").is_duplicated())
        .sort("step", is_measured, minutes, "kind_rank", descending=[False, True, True, False])
        .filter(changed("step"))
        .select("row", is_chosen=pl.lit(True))
    )
    stands = ~pl.col("step").is_duplicated() | pl.col("is_chosen").fill_null(False)
    return (
        pieces.lazy()
        .select("step", minutes, row=row)
        .join(chosen, on="row", how="left", maintain_order="left")
        .select(pl.when(stands).then(minutes).when(known).then(0.0).alias(minutes))
        .collect()
    )


def _worked(pieces: pl.DataFrame, sessionised: pl.DataFrame) -> pl.Series:
    """Minutes that each piece's event took, where it is work done again, shared by the steps that
    it proves something of.
    """
    talk = sessionised["talk_s"].gather(pieces["pos"].cast(pl.UInt32))
    is_again = pieces.select(one_of(pl.col("kind"), KIND, *AGAIN) & pl.lit(talk).is_not_null())
    rows = is_again.to_series().arg_true()
    shared = pieces.select(pl.col("pos", "step").gather(rows), talk=talk.gather(rows))
    n_steps = pl.col("step").n_unique().over("pos")
    minutes = shared.select(pl.col("talk") / n_steps / 60).to_series()
    unknown = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(pieces))
    return unknown.scatter(rows, minutes)


def of_journeys(journey: pl.Series, pieces: pl.DataFrame) -> pl.LazyFrame:
    """Sums and known shares of each journey's pieces."""
    customer, company = pl.col("minutes_customer"), pl.col("minutes_company")
    measured = pl.when("is_waited").then(customer).sum() + pl.when("is_worked").then(company).sum()
    both, whole = 2 * pl.len(), customer.sum() + company.sum()

    def known(amount: pl.Expr) -> pl.Expr:
        return pl.when(amount.count() > 0).then(amount.sum())

    return (
        pieces.lazy()
        .with_columns(j=journey)
        .group_by("j")
        .agg(
            friction_minutes_customer=known(customer),
            friction_minutes_company=known(company),
            friction_minutes_measured_share=pl.when(whole > 0).then(measured / whole),
            friction_minutes_known_share=(customer.count() + company.count()) / both,
            friction_cost_known_share=pl.col("n_priced").sum() / both,
            friction_cost=known(pl.col("cost")),
            friction_currency=pl.col("currency").max(),
            least_currency=pl.col("currency").min(),
        )
    )
