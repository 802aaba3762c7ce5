"""Answers on one scale, with who was asked and who answered. Grain: one record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from tests.bench.polars import codes
from tests.bench.polars.codes import DAY, INSTRUMENT, Dtype, looked_up, one_of
from tests.bench.polars.events import Names

SURVEY, IGNORED = 14 * DAY, 7 * DAY
#: Usual scales (least, greatest), by the order of `INSTRUMENT`.
USUAL = {
    "nps": (0, 10), "enps": (0, 10), "csat": (1, 5), "ces": (1, 7), "effort": (1, 5),
    "star": (1, 5), "review": (1, 5), "emotion": (1, 5), "empathy": (0, 1), "sentiment": (-1, 1),
}  # fmt: skip
UNASKED = ("sentiment", "review", "complaint", "other")
LITTLE = 1e-12
TIME = pl.Datetime("us", "UTC")
#: As the log has them; there may be none.
RAW: Mapping[str, Dtype] = {
    "answer_no": pl.String, "time": TIME, "customer_no": pl.String, "who": pl.String,
    "instrument": pl.String, "level": pl.String, "place": pl.String, "case_no": pl.String,
    "target": pl.String, "visit": pl.String, "flow": pl.String, "points": pl.Float64,
    "lowest": pl.Float64, "highest": pl.Float64, "is_up": pl.Boolean, "was_asked": pl.Boolean,
    "invited_at": TIME, "responded_at": TIME, "acted_at": TIME,
}  # fmt: skip


def read(folder: Path, names: Names) -> pl.DataFrame:
    """Records in order of time and id, so that a row's number tells which is the later one."""
    files = sorted((folder / "data" / "surveys").glob("*.parquet"))
    raw = pl.scan_parquet(files) if files else pl.LazyFrame(schema=RAW)
    coded = raw.with_columns(pl.col("lowest", "highest").cast(pl.Float64)).select(
        "answer_no", "time", "target", "visit", "points", "is_up", "was_asked", "invited_at",
        "responded_at", "acted_at",
        customer=pl.col("customer_no").cast(names.people).to_physical(),
        us=_us("time"),
        who=pl.col("who").cast(codes.RESPONDENT),
        instrument=pl.col("instrument").cast(INSTRUMENT),
        level=pl.col("level").cast(codes.LEVEL),
        place=pl.col("place").cast(codes.TOUCHPOINT),
        case=pl.col("case_no").cast(names.cases).to_physical(),
        flow=pl.col("flow").cast(codes.TYPE),
        least=pl.coalesce("lowest", _usual(0)),
        most=pl.coalesce("highest", _usual(1)),
    ).collect()  # fmt: skip
    return coded.lazy().pipe(_scaled).pipe(_judged).sort("us", "answer_no").collect()


def _us(time: str) -> pl.Expr:
    return pl.col(time).dt.timestamp("us")


def _usual(side: int) -> pl.Expr:
    bounds = [
        USUAL[instrument][side] if instrument in USUAL else None
        for instrument in INSTRUMENT.categories
    ]
    return looked_up(pl.col("instrument").cast(INSTRUMENT), bounds, pl.Float64)


def _scaled(records: pl.LazyFrame) -> pl.LazyFrame:
    instrument, points = pl.col("instrument"), pl.col("points")
    least, most = pl.col("least"), pl.col("most")
    is_up = pl.coalesce("is_up", instrument != "effort")
    part = (points - least) / (most - least)
    inside = (least < most) & points.is_between(least, most)
    u = pl.when(inside).then(pl.when(is_up).then(part).otherwise(1 - part))
    promoted = one_of(instrument, INSTRUMENT, "nps", "enps") & (most == 10) & is_up
    top = (
        pl.when(most - least == 4)
        .then(pl.col("u") > 1 - LITTLE)
        .when(promoted)
        .then(points > 9 - LITTLE)
        .otherwise(pl.col("u") > 0.9 - LITTLE)
    )
    return records.with_columns(u=u).with_columns(
        is_top_box=pl.when(pl.col("u").is_not_null()).then(top)
    )


def _judged(records: pl.LazyFrame) -> pl.LazyFrame:
    """Who was invited, answered in time, was ignored: known when the tool's log is past it."""
    instrument, invited = pl.col("instrument"), pl.col("invited_at").is_not_null()
    passed = pl.col("us").max() - codes.LATENESS
    solicited = pl.coalesce("was_asked", ~one_of(instrument, INSTRUMENT, *UNASKED) | invited)
    complains = instrument == "complaint"
    answered = pl.col("points").is_not_null() | pl.col("responded_at").is_not_null() | complains
    due = pl.coalesce("invited_at", "time").dt.timestamp("us") + SURVEY
    in_time = pl.col("is_answered") & (_us("responded_at") <= due).fill_null(True)
    acted, ignored_at = _us("acted_at"), pl.col("us") + IGNORED
    asks = pl.col("is_customer") & (complains | (pl.col("u") <= 0.4).fill_null(False))
    return (
        records.with_columns(
            is_solicited=solicited, is_answered=answered, is_customer=pl.col("who") == "customer"
        )
        .with_columns(
            is_invited=invited | (pl.col("is_solicited") & ~pl.col("is_answered")),
            is_ignored=pl.when(~asks)
            .then(None)
            .when(acted.is_not_null())
            .then(acted > ignored_at)
            .when(ignored_at < passed)
            .then(pl.lit(True)),
        )
        .with_columns(is_in_time=pl.when(pl.col("is_invited") & (due < passed)).then(in_time))
    )
