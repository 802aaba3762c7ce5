"""Sessions and steps of journeys. Grain: one event, then one step, in journey order."""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import (
    ACTOR,
    CHANNEL,
    FAMILY,
    SECOND,
    changed,
    latest,
    one_of,
)

SILENCE = 30 * 60 * 1_000_000
#: Families are numbered below this.
STRANDS = 16


def in_sessions(cut: pl.DataFrame) -> pl.DataFrame:
    """For each event the first event of its session, and whether the session has no other."""
    family = pl.when("is_message").then(pl.lit("message", FAMILY)).otherwise("family")
    strand = pl.col("j").cast(pl.Int64) * STRANDS + family.to_physical()
    strands = cut.select("pos", "us", "is_message", strand=strand).sort(
        "strand", maintain_order=True
    )
    silent = (pl.col("us") - pl.col("us").shift()) > SILENCE
    return (
        strands.lazy()
        .with_columns(begins=pl.col("is_message") | changed("strand") | silent.fill_null(True))
        .select(
            "pos",
            session_pos=latest(pl.col("begins"), pl.col("pos")),
            is_session=pl.col("begins") & pl.col("begins").shift(-1, fill_value=True),
        )
        .sort("pos")
        .drop("pos")
        .collect()
    )


def sessionised(cut: pl.DataFrame) -> pl.DataFrame:
    """Events with session, `step` numbered from 0, and the latest end before them."""
    channel, activity, touchpoint = (
        pl.col(name).to_physical().cast(pl.Int32) for name in ("channel", "activity", "touchpoint")
    )
    place = (
        pl.when(pl.col("touchpoint").is_not_null())
        .then(touchpoint)
        .when(pl.col("direction") == "internal")
        .then(activity + (1 << 16))
        .otherwise(channel + (1 << 17))
    )
    from_table = pl.col("owner_from_table")
    return (
        cut.lazy()
        .with_columns(in_sessions(cut))
        .with_columns(place=place)
        .with_columns(
            begins_step=(pl.col("pos") == pl.col("journey_pos"))
            | changed("place")
            | changed("team")
            | changed("session_pos")
            | (changed("owner") & ~(from_table & from_table.shift(fill_value=False))),
            last_end=latest(pl.col("is_end"), pl.col("pos")).shift(),
        )
        .with_columns(
            step=pl.col("begins_step").cum_sum().cast(pl.Int32) - 1,
            end_us=pl.col("us") + pl.col("talk_s").fill_null(0).cast(pl.Int64) * SECOND,
        )
        .drop("place")
        .collect()
    )


def steps(events: pl.DataFrame) -> pl.DataFrame:
    """Steps: the columns of their first event, and what all of their events say."""
    named = pl.concat_str(pl.lit("events/"), "id")
    events = events.with_columns(pl.col("step").set_sorted())
    actor, outbound = pl.col("actor_type"), pl.col("direction") == "outbound"
    by_machine = outbound & one_of(actor, ACTOR, "bot", "system")
    own_service = (actor == "customer") & one_of(
        pl.col("channel"), CHANNEL, "web", "app", "chatbot", "device"
    )
    gathered = (
        events.lazy()
        .group_by("step", maintain_order=True)
        .agg(
            last_us=pl.col("us").last(),
            end_us=pl.col("end_us").max(),
            last_pos=pl.col("pos").last(),
            n_events=pl.len().cast(pl.Int64),
            outcome=pl.col("outcome").last(ignore_nulls=True),
            intent=pl.col("intent").first(ignore_nulls=True),
            queue_s=pl.when(pl.col("wait_s").count() > 0).then(
                pl.col("wait_s").cast(pl.Int64).sum()
            ),
            has_receiver=pl.col("to_owner").is_not_null().any(),
            is_worked=(~by_machine & ~own_service).any(),
            event_ids=named,
        )
    )
    opened = events.lazy().filter("begins_step").select(
        "pos", "j", "customer", "us", "time", "touchpoint", "activity", "channel", "direction",
        "actor_type", "owner", "owner_from_table", "team", "is_pushed", "session_pos",
    )  # fmt: skip
    return pl.concat([opened, gathered], how="horizontal").collect()
