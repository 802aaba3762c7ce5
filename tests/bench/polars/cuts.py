"""Where journeys begin in threads. Grain: one event, in thread order.

All threads are cut at once, as if nothing looked back further than to the last end. Threads in
which something may (the cap, a purchase after a purchase, a bad end that the company tells of after
a good one) are cut again, one journey more of each of them at a time.
"""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import changed, latest
from tests.bench.polars.steps import SILENCE

READ = (
    "pos", "thread_pos", "us", "settles", "is_end", "is_weak", "is_outward", "is_unasked",
    "is_message", "family", "outcome", "gap", "reopen_window", "cap",
)  # fmt: skip
SOLD = (pl.col("outcome") == "sold").fill_null(False)


def begins(rows: pl.DataFrame) -> pl.DataFrame:
    """Whether a journey begins with each event, and when the need showed that began it."""
    read = rows.lazy().select(READ)
    local = read.pipe(standing, "thread_pos").pipe(_at_once).collect()
    nothing = pl.lit(None, pl.Int64).alias("shown_us")
    doubtful = local.filter("is_doubtful")["thread_pos"].unique()
    if not len(doubtful):
        return local.select("begins", nothing)
    again = pl.col("thread_pos").is_in(doubtful.implode())
    anew = _one_by_one(read.filter(again).collect())
    kept = local.lazy().select("pos", begins=pl.col("begins") & ~again)
    return (
        kept.join(anew.lazy(), on="pos", how="left", maintain_order="left")
        .select(pl.col("begins") | pl.col("is_begin").fill_null(False), "shown_us")
        .collect()
    )


def standing(rows: pl.LazyFrame, start: str) -> pl.LazyFrame:
    """The end that stands before each event, `by`, from an event on at which nothing had ended.

    A bad end stands as long as nothing follows it but what the company drives; what outbound events
    tell of a bad end leaves a good one as it is.
    """
    row, first = pl.int_range(pl.len(), dtype=pl.Int32), pl.col(start)

    def last(which: pl.Expr) -> pl.Expr:
        before = latest(which, row).shift()
        return pl.when(before >= first).then(before)

    return rows.with_columns(
        settled=last(pl.col("settles")),
        outward=last(pl.col("is_outward")),
        gone_on=last(~pl.col("is_unasked")),
    ).pipe(decided)


def decided(rows: pl.LazyFrame, events: pl.DataFrame | None = None) -> pl.LazyFrame:
    """Whether something is ended, `ended`, and by which event, `by`, at `by_us`."""

    def of(name: str, place: str) -> pl.Expr:
        taken = pl.col(name) if events is None else pl.lit(events[name])
        return taken.gather(pl.col(place).cast(pl.UInt32))

    tells = pl.col("outward") > pl.col("settled").fill_null(-1)
    holds = of("is_end", "settled").fill_null(False)
    stays = ~(of("us", "gone_on") > pl.col("by_us")).fill_null(False)
    return (
        rows.with_columns(
            by=pl.when(tells & ~holds).then("outward").otherwise("settled"),
            is_unsure=(tells & holds).fill_null(False),
        )
        .with_columns(by_us=of("us", "by"))
        .with_columns(ended=(of("is_end", "by") | (of("is_weak", "by") & stays)).fill_null(False))
    )


def _at_once(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Begins by end rule and silence, and where they cannot tell."""
    us, pos, window = pl.col("us"), pl.col("pos"), pl.col("reopen_window")
    delta = us - us.shift()
    is_first, ended = pos == pl.col("thread_pos"), pl.col("ended")
    behind = ended & (pl.col("last_over") > pl.col("by")).fill_null(False)
    silent = (~ended | behind) & (delta > pl.col("gap"))
    journey = latest(pl.col("begins"), pos)
    again = SOLD & (latest(SOLD, pos).shift() >= journey).fill_null(False)
    return (
        rows.with_columns(is_over=ended & (us - pl.col("by_us") > window))
        .with_columns(last_over=latest(pl.col("is_over"), pos).shift())
        .with_columns(begins=is_first | (pl.col("is_over") & ~behind) | silent)
        .with_columns(
            is_doubtful=pl.col("is_unsure")
            | again
            | (us - latest(pl.col("begins"), us) > pl.col("cap"))
        )
        .select("pos", "thread_pos", "begins", "is_doubtful")
    )


def _one_by_one(rows: pl.DataFrame) -> pl.DataFrame:
    """Begins of threads: in each round the first one after those that are known already."""
    left = rows.with_columns(first_pos="thread_pos")
    begins = [_begin_rows(left.filter(pl.col("pos") == pl.col("thread_pos")), "pos", pl.lit(None))]
    while len(left):
        judged = left.lazy().pipe(_anew).collect()
        firsts = judged.filter(pl.col("late") | pl.col("need")).unique(
            "first_pos", keep="first", maintain_order=True
        )
        needs = firsts.filter("need")
        visits = _visits(judged, needs) if len(needs) else needs.select("first_pos", begin="pos")
        begun = firsts.join(visits, on="first_pos", how="left").with_columns(
            begin=pl.coalesce("begin", "pos")
        )
        begins.append(_begin_rows(begun, "begin", pl.when("need").then("us")))
        left = (
            left.join(begun.select("first_pos", "begin"), on="first_pos", maintain_order="left")
            .filter(pl.col("pos") >= pl.col("begin"))
            .drop("first_pos")
            .rename({"begin": "first_pos"})
        )
    return pl.concat(begins)


def _begin_rows(begun: pl.DataFrame, pos: str, shown: pl.Expr) -> pl.DataFrame:
    return begun.select(
        pl.col(pos).alias("pos"), is_begin=pl.lit(True), shown_us=shown.cast(pl.Int64)
    )


def _anew(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Events that begin a new journey, were all before them since `first_pos` of one."""
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    start = latest(changed("first_pos"), row)
    good = latest(pl.col("is_end"), row).shift()
    bought = latest(pl.col("is_end") & SOLD, row).shift()
    us, ended, window = pl.col("us"), pl.col("ended"), pl.col("reopen_window")
    first, before = us.gather(pl.col("start").cast(pl.UInt32)), us.shift()
    closed = us.gather(pl.col("good").cast(pl.UInt32))
    last_end = pl.max_horizontal(pl.when(ended).then("by_us"), closed)
    deadline = pl.when(ended).then(pl.col("by_us") + window).otherwise(before + pl.col("gap"))
    stands = ended | (us - pl.col("end_us") <= window).fill_null(False)
    return (
        rows.with_columns(start=start)
        .pipe(standing, "start")
        .with_columns(good=pl.when(good >= pl.col("start")).then(good), is_inside=row > start)
        .with_columns(end_us=last_end)
        .with_columns(
            late=pl.col("is_inside")
            & (us > before)
            & (us > pl.min_horizontal(deadline, first + pl.col("cap"))),
            need=SOLD
            & ~pl.col("is_unasked")
            & (bought >= pl.col("start")).fill_null(False)
            & (us > pl.col("end_us")).fill_null(False)
            & stands,
        )
        .with_columns(need=pl.col("need") & ~pl.col("late"))
    )


def _visits(judged: pl.DataFrame, needs: pl.DataFrame) -> pl.DataFrame:
    """First event after the end of the visit in which each need shows."""
    asking = needs.select(
        "first_pos", need_pos="pos", need_us="us", after_us="end_us", need_family="family",
        by_message="is_message",
    )  # fmt: skip
    in_family = (
        (pl.col("family") == pl.col("need_family")) & ~pl.col("is_message") & ~pl.col("by_message")
    )
    us = pl.col("us")
    at_once = us == pl.col("need_us")
    near = pl.when(in_family | (pl.col("pos") == pl.col("need_pos"))).then(us)
    broken = (near.backward_fill().shift(-1) - us > SILENCE).fill_null(False)
    return (
        judged.lazy()
        .join(asking.lazy(), on="first_pos", maintain_order="left")
        .filter(
            pl.col("pos") <= pl.col("need_pos"),
            (us > pl.col("after_us")) | (pl.col("pos") == pl.col("need_pos")),
            ~pl.col("is_unasked"),
        )
        .with_columns(is_near=in_family | at_once)
        .filter("is_near")
        .with_columns(is_broken=broken.over("first_pos"))
        .with_columns(is_apart=pl.col("is_broken").cum_max(reverse=True).over("first_pos"))
        .filter(~pl.col("is_apart"))
        .group_by("first_pos")
        .agg(begin=pl.col("pos").min())
        .collect()
    )
