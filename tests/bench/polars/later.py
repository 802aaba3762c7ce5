"""Evidence of the kinds that are no launch kinds. Grain: one piece, columns of `piece`.

The log has no claims, no life cycle, no error codes, counts of results or ids of messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tests.bench.polars.codes import DAY, KIND, OUTCOME, one_of
from tests.bench.polars.company import Company
from tests.bench.polars.contacts import FAILURES, Pairs
from tests.bench.polars.fields import Fields
from tests.bench.polars.links import Handoffs

PRESSURE, PRESSED_FROM = 7 * DAY, 3
REWORK = 3


@dataclass(frozen=True)
class Findings:
    """What evidence is drawn from."""

    sessionised: pl.DataFrame
    steps: pl.DataFrame
    contacts: pl.DataFrame
    pairs: Pairs
    fields: Fields
    handoffs: Handoffs
    promises: pl.DataFrame
    ends: pl.DataFrame
    levels: pl.DataFrame
    company: Company


def piece(kind: str | pl.Expr, weight: float | pl.Expr, **given: pl.Expr | float) -> list[pl.Expr]:
    """Columns of a piece; what is not given has its default."""
    columns: dict[str, tuple[pl.Expr | float | None, pl.DataType | type[pl.DataType]]] = {
        "previous": (None, pl.Int32), "earlier_pos": (None, pl.Int32), "raw": (1.0, pl.Float64),
        "expected": (None, pl.Float64), "intensity": (1.0, pl.Float64),
        "confidence": (1.0, pl.Float64), "minutes": (None, pl.Float64), "basis": (0, pl.Int8),
        "detail": (None, pl.String),
    }  # fmt: skip
    named = pl.lit(kind, KIND) if isinstance(kind, str) else kind.cast(KIND)
    values = {name: given.get(name, value) for name, (value, _) in columns.items()}
    return [
        named.alias("kind"),
        pl.col("step", "pos", "us"),
        _column(weight, pl.Float64).alias("weight"),
        *(_column(values[name], dtype).alias(name) for name, (_, dtype) in columns.items()),
    ]


def _column(value: pl.Expr | float | None, dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    return value.cast(dtype) if isinstance(value, pl.Expr) else pl.lit(value, dtype)


def at_events(findings: Findings, pos: pl.LazyFrame) -> pl.LazyFrame:
    """Rows with a column `pos`, with step and time of that event."""
    rows = pos.collect()
    events = findings.sessionised.select(pl.col("step", "us").gather(rows["pos"].cast(pl.UInt32)))
    return pl.concat([rows, events], how="horizontal").lazy()


def later_kinds(findings: Findings) -> Iterator[pl.LazyFrame]:
    """Pieces of each kind."""
    yield _passed(findings)
    yield _ping_pong(findings)
    yield _conflicts(findings)
    yield _dead_ends(findings)
    yield _abandoned(findings)
    yield findings.pairs.rescues.lazy().select(
        piece("self_rescue", 0.15, previous=pl.col("previous"), earlier_pos=pl.col("earlier_pos"))
    )
    yield _late(findings)
    yield _rework(findings)
    yield _upsells(findings)
    yield _pressure(findings)


def _passed(findings: Findings) -> pl.LazyFrame:
    """Transfers and escalations, to the next step that is not pushed."""
    outcome = pl.col("outcome")
    is_handed = pl.col("to_owner").is_not_null() & (pl.col("direction") != "internal")
    handing = findings.sessionised.lazy().filter(
        one_of(outcome, OUTCOME, "transferred", "escalated") | is_handed
    )
    after = findings.steps.lazy().filter(~pl.col("is_pushed")).select("j", "step", next_step="step")
    escalated = one_of(outcome, OUTCOME, "escalated")
    return (
        handing.select("pos", "j", "us", "outcome", "step")
        .join_asof(
            after, on="step", by="j", strategy="forward", allow_exact_matches=False,
            check_sortedness=False,
        )
        .with_columns(previous="step", step=pl.coalesce("next_step", "step"))
        .select(
            piece(
                pl.when(escalated).then(pl.lit("escalation")).otherwise(pl.lit("transfer")),
                pl.when(escalated).then(0.20).otherwise(0.10),
                previous=pl.col("previous"),
            )
        )
    )  # fmt: skip


def _ping_pong(findings: Findings) -> pl.LazyFrame:
    back = findings.handoffs.seen.join(findings.handoffs.ping_pongs, on="step")
    last = findings.steps["last_pos"].gather(back["giver"])
    return at_events(findings, back.lazy().drop("step", "j").with_columns(earlier_pos=last)).select(
        piece(
            "ping_pong", 0.30, previous=pl.col("giver"), earlier_pos=pl.col("earlier_pos"),
            confidence=pl.col("sure"),
        )
    )  # fmt: skip


def _conflicts(findings: Findings) -> pl.LazyFrame:
    """An answer that is not the one given before in another step."""
    given = findings.fields.entries.lazy().filter(
        pl.col("op") == "given", pl.col("value").is_not_null(), pl.col("basis") == 0
    )
    contradictions = (
        given.select("of", "pos", "step", "value", "field")
        .sort("of", "pos")
        .with_columns(pl.all().shift().name.suffix("_before"))
        .filter(
            pl.col("of") == pl.col("of_before"),
            pl.col("value") != pl.col("value_before"),
            pl.col("step") != pl.col("step_before"),
        )
        .drop("step")
    )
    return at_events(findings, contradictions).select(
        piece(
            "info_conflict", 0.30, previous=pl.col("step_before"),
            earlier_pos=pl.col("pos_before"), detail=pl.col("field"),
        )
    )  # fmt: skip


def _dead_ends(findings: Findings) -> pl.LazyFrame:
    """A failed contact that is followed on another channel, or by nothing in a closed journey."""
    inbound = findings.contacts.filter(pl.col("is_contact") & (pl.col("direction") == "inbound"))
    stuck = inbound.filter(one_of(pl.col("outcome"), OUTCOME, "error", "no_result", "abandoned"))
    nexts = (
        stuck.lazy()
        .select("j", "session_pos", "intent")
        .join(inbound.lazy().select("j", "intent", "channel", next_pos="session_pos"), on="j")
        .filter(
            pl.col("next_pos") > pl.col("session_pos"),
            (pl.col("intent") == pl.col("intent_right")).fill_null(True),
        )
        .group_by("session_pos")
        .agg(next_channel=pl.col("channel").min_by("next_pos"))
    )
    last_contacts = (
        stuck.lazy()
        .select("j", "session_pos", "channel")
        .join(findings.ends.lazy().select("j", "is_closed"), on="j")
        .join(nexts, on="session_pos", how="left")
        .filter((pl.col("next_channel") != pl.col("channel")).fill_null(pl.col("is_closed")))
    )
    return at_events(findings, _failures(findings, last_contacts)).select(piece("dead_end", 0.30))


def _failures(findings: Findings, sessions: pl.LazyFrame) -> pl.LazyFrame:
    """The last event with an outcome of each session."""
    return (
        findings.sessionised.lazy()
        .filter(pl.col("outcome").is_not_null())
        .join(sessions.select("session_pos"), on="session_pos", how="semi")
        .group_by("session_pos")
        .agg(pl.col("pos").max())
    )


def _abandoned(findings: Findings) -> pl.LazyFrame:
    left = findings.contacts.lazy().filter(
        "is_contact", pl.col("outcome") == "abandoned", (pl.col("wait_s") >= 10).fill_null(True)
    )
    return at_events(findings, _failures(findings, left)).select(piece("abandonment", 0.35))


def _late(findings: Findings) -> pl.LazyFrame:
    """Hand-offs taken up after they were due."""
    asked = findings.handoffs.asked.lazy().filter(pl.col("received_pos").is_not_null())
    allowed = pl.col("due") - pl.col("asked_us")
    excess = (pl.col("us") - pl.col("due")) / pl.max_horizontal(allowed, pl.lit(1_000_000))
    took = asked.select("due", pos="received_pos", earlier_pos="pos", asked_us="us")
    return (
        at_events(findings, took)
        .filter(pl.col("us") > pl.col("due"))
        .select(
            piece(
                "internal_wait", 0.20, earlier_pos=pl.col("earlier_pos"), raw=excess,
                expected=allowed / 1_000_000, intensity=1 - (-excess).exp(),
            )
        )
    )  # fmt: skip


def _rework(findings: Findings) -> pl.LazyFrame:
    """Activities inside the company that a journey does again."""
    again = (
        findings.sessionised.lazy()
        .filter(pl.col("direction") == "internal")
        .select("j", "pos", work=pl.col("j").cast(pl.Int64) * (1 << 16)
                + pl.col("activity").to_physical())
        .filter(~pl.col("work").is_first_distinct())
        .group_by("j")
        .agg(pl.col("pos").min(), n=pl.len())
    )  # fmt: skip
    n = pl.col("n").cast(pl.Float64)
    return at_events(findings, again).select(
        piece("rework", 0.10, raw=n, intensity=1 - (-n / REWORK).exp())
    )


def _upsells(findings: Findings) -> pl.LazyFrame:
    """Offers of more while something is open."""
    offers = (
        findings.sessionised.lazy().filter("is_upsell").select("j", "kind", "is_end", offer="pos")
    )
    is_open = one_of(pl.col("outcome"), OUTCOME, *FAILURES)
    before = (
        findings.sessionised.lazy()
        .join(offers.select("j", "offer"), on="j")
        .filter(pl.col("pos") < pl.col("offer"))
        .group_by("offer")
        .agg(
            is_asked=(pl.col("direction") == "inbound").any(),
            last_end=pl.when("is_end").then("pos").max(),
            last_open=pl.when(is_open).then("pos").max(),
        )
    )
    types = findings.company.types.lazy().select("kind", "is_problem")
    no_end = pl.col("last_end").is_null()
    bad = (
        offers.join(before, on="offer", how="left")
        .join(types, on="kind")
        .filter(
            (no_end & pl.col("is_asked").fill_null(False) & ~pl.col("is_end"))
            | (no_end & pl.col("is_problem"))
            | (pl.col("last_open") > pl.col("last_end").fill_null(-1)).fill_null(False)
        )
        .select(pos="offer")
    )
    return at_events(findings, bad).select(piece("upsell_in_problem", 0.25))


def _pressure(findings: Findings) -> pl.LazyFrame:
    """More than three messages in seven days that nobody asked for."""
    unasked = (
        findings.sessionised.lazy().filter("is_unasked").select("customer", "pos", "step", "us")
    )
    counted = unasked.sort("customer", "us").with_columns(
        n=pl.len().rolling("us", period=f"{PRESSURE}i", closed="right").over("customer")
    )
    n = pl.col("n").cast(pl.Float64)
    return counted.filter(pl.col("n") > PRESSED_FROM).select(
        piece(
            "over_pressure",
            0.15,
            raw=n / PRESSED_FROM - 1,
            expected=pl.lit(PRESSED_FROM),
            intensity=1 - (-(n / PRESSED_FROM - 1)).exp(),
        )
    )
