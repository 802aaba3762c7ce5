"""Fields asked, given, passed, and asked again. Grain: one field named by an event.

Basis 0: observed in the event; 1: declared by `touchpoint_fields` of a silent step.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tests.bench.polars.codes import FIELD, OPERATION
from tests.bench.polars.company import Company

#: What the log calls a use, and what it is here.
USES = {"given": "given", "asked": "asked", "passed": "passed", "shown": "passed"}
DECLARED = {"asks": "given", "knows": "passed", "passes": "passed"}
ENTRY = ("pos", "j", "step", "field", "op", "value", "basis", "of")


@dataclass(frozen=True)
class Fields:
    """`known`: entries with who gave the field first; `gives`: fields given in a journey."""

    entries: pl.DataFrame
    gives: pl.DataFrame
    known: pl.DataFrame
    requests: pl.DataFrame
    answers: pl.DataFrame


def fields(
    events: pl.DataFrame, sessionised: pl.DataFrame, steps: pl.DataFrame, company: Company
) -> Fields:
    """All that the information in events says."""
    observed = _observed(events, sessionised)
    entries = pl.concat([observed, _declared(steps, observed, company)])
    gives = (
        entries.lazy()
        .filter(pl.col("op") == "given")
        .group_by("of")
        .agg(
            pl.col("j").first(),
            first_observed=pl.when(pl.col("basis") == 0).then("pos").min(),
            first_any=pl.col("pos").min(),
        )
        .collect()
    )
    known = _known(entries, gives)
    requests = _requests(known)
    return Fields(entries, gives, known, requests, _answers(entries, requests))


def within(owner: str) -> pl.Expr:
    """A field of a journey or step as one whole number, which groups faster than two columns."""
    return pl.col(owner).cast(pl.Int64) * (1 << 16) + pl.col("field").to_physical()


def _observed(events: pl.DataFrame, sessionised: pl.DataFrame) -> pl.DataFrame:
    """In order of the log: numbers are looked up, lists of texts are never moved."""
    pos = pl.lit(sessionised["event"].arg_sort()).gather("event").cast(pl.Int32)
    return (
        events.lazy()
        .select("info")
        .with_row_index("event")
        .filter(pl.col("info").list.len() > 0)
        .explode("info")
        .unnest("info")
        .select(
            "event",
            pl.col("field").cast(FIELD),
            pl.col("op").replace_strict(USES, default=None, return_dtype=OPERATION),
            value="value_hmac",
            basis=pl.lit(0, pl.Int8),
        )
        .filter(pl.col("op").is_not_null(), pl.col("field").is_not_null())
        .with_columns(pos=pos)
        .with_columns(
            pl.lit(sessionised[name]).gather(pl.col("pos").cast(pl.UInt32)).alias(name)
            for name in ("j", "step")
        )
        .with_columns(of=within("j"))
        .select(ENTRY)
        .collect()
    )


def _declared(steps: pl.DataFrame, observed: pl.DataFrame, company: Company) -> pl.DataFrame:
    uses = company.fields.with_columns(
        op=pl.col("op").replace_strict(DECLARED, default=None, return_dtype=OPERATION)
    ).drop_nulls("op")
    return (
        steps.lazy()
        .select("pos", "j", "step", "touchpoint", "us")
        .join(uses.lazy(), on="touchpoint")
        .filter(
            (pl.col("valid_from") <= pl.col("us")).fill_null(True),
            (pl.col("us") < pl.col("valid_to")).fill_null(True),
        )
        .join(observed.lazy().select("step"), on="step", how="anti")
        .with_columns(value=pl.lit(None, pl.String), basis=pl.lit(1, pl.Int8), of=within("j"))
        .select(ENTRY)
        .collect()
    )


def _known(entries: pl.DataFrame, gives: pl.DataFrame) -> pl.DataFrame:
    observed, given = pl.col("first_observed"), pl.col("first_any")
    by_observed = (pl.col("basis") == 0) & (observed < pl.col("pos")).fill_null(False)
    by_any = (given < pl.col("pos")).fill_null(False)
    return (
        entries.lazy()
        .drop("value")
        .join(gives.lazy().drop("j"), on="of", how="left")
        .with_columns(
            known_pos=pl.when(by_observed).then(observed).when(by_any).then(given),
            known_basis=pl.when((pl.col("basis") == 0) & ~by_observed & by_any)
            .then(pl.lit(1, pl.Int8))
            .otherwise("basis"),
        )
        .collect()
    )


def _requests(known: pl.DataFrame) -> pl.DataFrame:
    """A field asked or given in a step; where it is asked, that counts alone."""
    is_known = pl.col("known_pos").is_not_null()
    asking = known.lazy().filter(pl.col("op") != "passed").sort("pos")
    asked = pl.col("op") == "asked"
    return (
        asking.with_columns(
            of_step=within("step"),
            asked_at=pl.when(asked).then("pos"),
            known_at=pl.when(is_known).then("pos"),
            asked_known_at=pl.when(asked & is_known).then("pos"),
            asked_known=pl.when(asked).then("known_pos"),
            asked_basis=pl.when(asked & is_known).then("known_basis"),
            given_basis=pl.when(is_known).then("known_basis"),
        )
        .group_by("of_step")
        .agg(
            pl.col("step", "field", "j", "basis", "of").first(),
            pl.col("asked_at", "asked_known_at", "known_at", "pos").min(),
            pl.col("asked_known", "asked_basis", "given_basis").first(ignore_nulls=True),
            given_known=pl.col("known_pos").first(ignore_nulls=True),
        )
        .select(
            "step", "field", "j", "of",
            pos=pl.coalesce("asked_at", "pos"),
            proof_pos=pl.coalesce("asked_known_at", "asked_at", "known_at", "pos"),
            known_pos=pl.when(pl.col("asked_at").is_not_null())
            .then("asked_known")
            .otherwise("given_known"),
            basis=pl.coalesce(
                pl.when(pl.col("asked_at").is_not_null())
                .then("asked_basis")
                .otherwise("given_basis"),
                "basis",
            ),
        )
        .collect()
    )  # fmt: skip


def _answers(entries: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """Whether the answer to a field asked again is the one given before."""
    again = requests.filter(pl.col("known_pos").is_not_null())
    valued = (
        entries.filter(pl.col("op") == "given", pl.col("value").is_not_null())
        .join(again.select("of"), on="of", how="semi")
        .select("of", "value", at="pos", answered="step")
        .sort("at")
    )
    asked = again.select("step", "field", "of", at="proof_pos").sort("at")
    earlier = asked.join_asof(
        valued.drop("answered").rename({"value": "before"}),
        on="at", by="of", strategy="backward", allow_exact_matches=False, check_sortedness=False,
    )  # fmt: skip
    return (
        earlier.join_asof(valued, on="at", by="of", strategy="forward", check_sortedness=False)
        .filter(pl.col("before").is_not_null(), pl.col("answered") == pl.col("step"))
        .select("step", "field", agrees=pl.col("before") == pl.col("value"))
    )
