"""Sessions as contacts, and what follows what among them. Grain: one session or a pair."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tests.bench.polars.codes import ACTOR, CHANNEL, DAY, DIRECTION, OUTCOME, one_of

REPEAT = 7 * DAY
FAILURES = ("unresolved", "partly", "error", "no_result", "abandoned", "escalated")
#: What a pair of contacts is: where the earlier stood, and the later one.
PAIR = ("earlier", "step", "previous", "earlier_pos", "pos", "us")


@dataclass(frozen=True)
class Pairs:
    """Pairs of contacts of each kind; columns PAIR and some of their own."""

    switches: pl.DataFrame
    fallbacks: pl.DataFrame
    repeats: pl.DataFrame
    rescues: pl.DataFrame


def contacts(sessionised: pl.DataFrame) -> pl.DataFrame:
    """Sessions in order of their first event, with what their events say."""
    channel, actor = pl.col("channel"), pl.col("actor_type")
    is_said = pl.col("direction") != "internal"
    marked = sessionised.lazy().with_columns(
        has_human=one_of(actor, ACTOR, "human")
        | one_of(channel, CHANNEL, "phone", "branch", "visit", "chat"),
        has_machine=one_of(actor, ACTOR, "bot", "system")
        | one_of(channel, CHANNEL, "web", "app", "chatbot", "device"),
        is_contact=is_said,
        said=pl.when(is_said).then("direction"),
        said_need=pl.when(is_said).then("is_need_driven"),
        said_push=pl.when(is_said).then("is_pushed"),
        n_sales=(pl.col("is_sales") & ~pl.col("is_message")).cast(pl.Int64),
    )
    same = ("j", "customer", "is_message", "family")
    alone = marked.filter("is_session").select(
        "session_pos", *same, "us", "direction", "channel", "intent", "outcome",
        "has_human", "has_machine", "n_sales", "is_contact", "is_pushed",
        is_need_driven=pl.col("is_need_driven") & is_said,
        first_step="step", last_step="step", last_pos="pos", last_us="us",
        n_events=pl.lit(1, pl.Int64),
        talk_s=pl.col("talk_s").cast(pl.Int64),
        wait_s=pl.col("wait_s").cast(pl.Int64),
    )  # fmt: skip
    gathered = marked.filter(~pl.col("is_session")).group_by("session_pos").agg(
        *(pl.col(name).first() for name in same), pl.col("us").first(),
        first("said").fill_null(pl.lit("internal", DIRECTION)).alias("direction"),
        pl.col("channel").first(),
        first("intent"), pl.col("outcome").last(ignore_nulls=True),
        pl.col("has_human").any(), pl.col("has_machine").any(), pl.col("n_sales").sum(),
        pl.col("is_contact").any(), first("said_push").fill_null(False).alias("is_pushed"),
        first("said_need").fill_null(False).alias("is_need_driven"),
        pl.col("step").first().alias("first_step"), pl.col("step").last().alias("last_step"),
        pl.col("pos").last().alias("last_pos"), pl.col("us").last().alias("last_us"),
        pl.len().cast(pl.Int64).alias("n_events"), total("talk_s"), total("wait_s"),
    )  # fmt: skip
    columns = alone.collect_schema().names()
    return pl.concat([alone, gathered.select(columns)]).sort("session_pos").collect()


def first(name: str) -> pl.Expr:
    """First value of a group that is known."""
    return pl.col(name).first(ignore_nulls=True)


def total(seconds: str) -> pl.Expr:
    """Sum of a group; null where none is known."""
    known = pl.col(seconds).count() > 0
    return pl.when(known).then(pl.col(seconds).cast(pl.Int64).sum()).alias(seconds)


def following(contacts: pl.DataFrame, *of_next: str) -> pl.LazyFrame:
    """Each contact with the one after it in its journey: PAIR, and `next_` columns."""
    return (
        contacts.lazy()
        .with_columns(
            is_same=pl.col("j") == pl.col("j").shift(-1),
            step=pl.col("first_step").shift(-1),
            pos=pl.col("session_pos").shift(-1),
            next_us=pl.col("us").shift(-1),
            **{f"next_{name}": pl.col(name).shift(-1) for name in of_next},
        )
        .filter("is_same")
        .with_columns(
            earlier="session_pos", previous="last_step", earlier_pos="last_pos", us="next_us"
        )
    )


def pairs(contacts: pl.DataFrame, sessionised: pl.DataFrame) -> Pairs:
    """Switches of family, repeats, falls back to a human, rescues on the web."""
    inbound = contacts.filter(pl.col("is_contact") & (pl.col("direction") == "inbound"))
    outcome = pl.col("outcome")
    same_intent = pl.col("intent") == pl.col("next_intent")
    nexts = following(inbound, "has_human", "intent", "channel", "family")
    unsettled = nexts.filter(
        ~one_of(outcome, OUTCOME, "resolved", "sold", "informed"), same_intent.fill_null(True)
    ).with_columns(sure=pl.when(outcome.is_null()).then(0.5).otherwise(1.0))
    fallbacks = unsettled.filter(
        ~pl.col("has_human"),
        one_of(pl.col("channel"), CHANNEL, "web", "app", "chatbot", "device"),
        "next_has_human",
    )
    switches = unsettled.filter(pl.col("family") != pl.col("next_family"))
    rescues = nexts.filter(
        "has_human",
        ~pl.col("next_has_human"),
        pl.col("next_channel") == "web",
        same_intent,
        one_of(outcome, OUTCOME, *FAILURES),
    ).select(*PAIR, "j", "last_us")
    judged = [some.select(*PAIR, "j", "last_us", "sure") for some in (switches, fallbacks)]
    frames = pl.collect_all([*judged, _repeats(inbound), rescues])
    stood = _stood(frames, sessionised)
    return Pairs(*(_standing(some, stood) for some in frames))


def _repeats(inbound: pl.DataFrame) -> pl.LazyFrame:
    before = pl.all().shift().name.prefix("before_")
    return (
        inbound.lazy()
        .filter(pl.col("intent").is_not_null())
        .select(
            "j", "us", "session_pos", "first_step", "last_step", "last_pos", "last_us", "outcome",
            who=pl.col("customer").cast(pl.Int64) * (1 << 16) + pl.col("intent").to_physical(),
        )
        .sort("who", "us", "session_pos")
        .with_columns(before)
        .filter(
            pl.col("who") == pl.col("before_who"), pl.col("us") - pl.col("before_us") <= REPEAT
        )
        .select(
            "us", "j",
            earlier="before_session_pos", step="first_step", previous="before_last_step",
            earlier_pos="before_last_pos", pos="session_pos", last_us="before_last_us",
            earlier_outcome="before_outcome",
        )
    )  # fmt: skip


def _stood(frames: list[pl.DataFrame], sessionised: pl.DataFrame) -> pl.DataFrame:
    """Where the earlier contact stood when the later began, for those that overlap."""
    overlapping = pl.concat(
        some.filter(pl.col("last_us") >= pl.col("us")).select("earlier", "pos", "us")
        for some in frames
    ).unique()
    later = overlapping.with_columns(
        id=sessionised["id"].gather(overlapping["pos"]), session_pos=pl.col("earlier")
    )
    events = sessionised.lazy().select("session_pos", "step", "pos", "us", "id")
    events = events.join(later.lazy().select("session_pos"), on="session_pos", how="semi")
    is_before = (pl.col("us_right") < pl.col("us")) | (
        (pl.col("us_right") == pl.col("us")) & (pl.col("id_right") < pl.col("id"))
    )
    return (
        later.lazy()
        .join(events, on="session_pos")
        .filter(is_before)
        .group_by("earlier", "pos")
        .agg(stood_step=pl.col("step").max(), stood_pos=pl.col("pos_right").max())
        .collect()
    )


def _standing(some: pl.DataFrame, stood: pl.DataFrame) -> pl.DataFrame:
    return some.join(stood, on=["earlier", "pos"], how="left").with_columns(
        previous=pl.coalesce("stood_step", "previous"),
        earlier_pos=pl.coalesce("stood_pos", "earlier_pos"),
    )
