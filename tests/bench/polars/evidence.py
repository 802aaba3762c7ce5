"""Evidence of friction, ranked in its incident, with hazards. Grain: one piece."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from tests.bench.polars.codes import DAY, SECOND, as_name, changed, latest
from tests.bench.polars.costs import priced
from tests.bench.polars.later import Findings, at_events, later_kinds, piece

DECLARED = 0.6
HALF_HOUR = 1_800 * SECOND


def evidence(findings: Findings) -> pl.DataFrame:
    """All pieces, heaviest first in each step, with what they cost."""
    launch = (
        _pairs(findings),
        _reasked(findings),
        _handoffs(findings),
        _seen(findings),
        _reopened(findings),
    )
    pieces = [some for kind in launch for some in kind] + list(later_kinds(findings))
    return priced(_ranked(pl.concat(pieces).collect()), findings.sessionised, findings.company)


def _pairs(findings: Findings) -> Iterator[pl.LazyFrame]:
    between = {"previous": pl.col("previous"), "earlier_pos": pl.col("earlier_pos")}
    yield findings.pairs.switches.lazy().select(
        piece("channel_switch", 0.05, **between, confidence=pl.col("sure"))
    )
    yield (
        findings.pairs.repeats.lazy()
        .filter(~pl.col("earlier_outcome").is_in(["informed", "sold"]))
        .select(piece("repeat_contact", 0.25, **between))
    )
    yield findings.pairs.fallbacks.lazy().select(
        piece("channel_fallback", 0.20, **between, confidence=pl.col("sure"))
    )


def _reasked(findings: Findings) -> Iterator[pl.LazyFrame]:
    """Fields that a step asks again although a system knew them: one piece a system."""
    again = findings.fields.requests.filter(pl.col("known_pos").is_not_null())
    places = findings.company.places.select("touchpoint", "system")
    known = (
        findings.sessionised.select(
            pl.col("touchpoint", "owner", "channel").gather(again["known_pos"].cast(pl.UInt32))
        )
        .join(places, on="touchpoint", how="left", maintain_order="left")
        .select(detail=pl.coalesce("system", "owner", as_name(pl.col("channel"))))
    )
    of_system = (
        again.hstack(known)
        .lazy()
        .select("step", "basis", "detail", "pos", "known_pos", "proof_pos")
        .sort("pos", "known_pos")
        .group_by("step", "basis", "detail")
        .agg(pl.col("pos", "known_pos", "proof_pos").first(), n=pl.len().cast(pl.Float64))
    )
    opens = findings.sessionised["pos"] == findings.sessionised["journey_pos"]
    located = at_events(findings, of_system.rename({"step": "asking"})).collect()
    is_first = pl.lit(opens.gather(located["pos"]))
    yield located.lazy().with_columns(pos="proof_pos").select(
        piece(
            "reasked_info", 0.45, previous=pl.when(~is_first).then(pl.col("asking") - 1),
            earlier_pos=pl.col("known_pos"), raw=pl.col("n"),
            intensity=1 - (-pl.col("n") / 4).exp(),
            confidence=pl.when(pl.col("basis") == 0).then(1.0).otherwise(DECLARED),
            basis=pl.col("basis"), detail=pl.col("detail"),
        )
    )  # fmt: skip


def _handoffs(findings: Findings) -> Iterator[pl.LazyFrame]:
    lost = findings.handoffs.seen.filter(pl.col("context").is_in(["none", "part"]))
    last = findings.steps["last_pos"].gather(lost["giver"])
    declared = pl.col("is_declared")
    missing = 1 - pl.col("n_passed") / pl.col("n_known")
    yield at_events(findings, lost.lazy().drop("step", "j").with_columns(earlier_pos=last)).select(
        piece(
            "handoff_without_context", 0.30, previous=pl.col("giver"),
            earlier_pos=pl.col("earlier_pos"), raw=pl.col("n_known") - pl.col("n_passed"),
            expected=pl.col("n_known"),
            confidence=missing * pl.when(declared).then(DECLARED).otherwise(1.0),
            basis=declared,
        )
    )  # fmt: skip
    dropped = findings.handoffs.asked.lazy().filter("is_dropped").with_columns(us="due")
    yield dropped.select(
        piece("handoff_dropped", 0.50, previous=pl.col("step"), detail=pl.col("to_owner"))
    )


def _seen(findings: Findings) -> Iterator[pl.LazyFrame]:
    """Waits longer than expected, promises not kept."""
    wait, expected = pl.col("wait_s"), pl.col("expected_wait_s")
    excess = (wait - expected) / pl.max_horizontal(expected, pl.lit(1))
    yield (
        findings.sessionised.lazy()
        .filter(wait > expected)
        .select(
            piece(
                "customer_wait", 0.30, raw=excess, expected=expected,
                intensity=1 - (-excess).exp(), minutes=wait / 60,
            )
        )
    )  # fmt: skip
    status = pl.col("status")
    yield (
        findings.promises.lazy()
        .filter(status.is_in(["broken", "late"]))
        .with_columns(us=pl.coalesce("due", "us"))
        .select(
            piece(
                "promise_broken",
                pl.when(status == "late").then(0.25).otherwise(0.45),
                expected=(pl.col("delivered_us") - pl.col("due")) / DAY,
                detail=status,
            )
        )
    )
    yield (
        findings.levels.lazy()
        .filter(status == "breached")
        .select(
            "step", "pos", "met_us", "sla", "is_late", us="due",
        )
        .select(
            piece(
                "promise_broken", pl.when("is_late").then(0.25).otherwise(0.45),
                expected=(pl.col("met_us") - pl.col("us")) / DAY, detail=pl.col("sla"),
            )
        )
    )  # fmt: skip


def _reopened(findings: Findings) -> Iterator[pl.LazyFrame]:
    """What comes back within the window after its end."""
    sessionised = findings.sessionised
    windows = findings.company.types.select("kind", "reopen_window")
    reopening = sessionised.filter(
        pl.col("last_end") >= pl.col("journey_pos"),
        pl.col("direction") == "inbound",
        ~pl.col("is_end"),
    ).select("pos", "step", "us", "j", "kind", "last_end", "session_pos", "intent")
    ends = reopening["last_end"].cast(pl.UInt32)
    stated = sessionised.lazy().filter(pl.col("intent").is_not_null()).select("j", "pos", "intent")
    stated = stated.join(reopening.lazy().select("j"), on="j", how="semi")
    first, any_first = pl.col("pos").min().alias("same_pos"), pl.col("pos").min().alias("any_pos")
    # An intent that the journey had up to the end; none, where it had none or the event has none,
    # unless it was sold (no event of the log states an object).
    is_same = (pl.col("same_pos") <= pl.col("last_end")).fill_null(False)
    is_unknown = ~(pl.col("any_pos") <= pl.col("last_end")).fill_null(False)
    is_unknown |= pl.col("intent").is_null()
    is_same |= is_unknown & pl.col("end_outcome").ne_missing("sold")
    since = pl.col("us") - pl.col("end_us")
    firsts = (
        reopening.hstack(
            sessionised.select(
                pl.col("us", "session_pos", "outcome").gather(ends).name.prefix("end_")
            )
        )
        .lazy()
        .join(windows.lazy(), on="kind")
        .filter(
            since > HALF_HOUR,
            since <= pl.col("reopen_window"),
            pl.col("session_pos") != pl.col("end_session_pos"),
        )
        .join(stated.group_by("j", "intent").agg(first), on=["j", "intent"], how="left")
        .join(stated.group_by("j").agg(any_first), on="j", how="left")
        .filter(is_same)
        .group_by("last_end")
        .agg(pl.col("j").first(), pl.col("step", "us").min_by("pos"), pl.col("pos").min())
        .collect()
    )
    sure = (
        sessionised.lazy()
        .filter(pl.col("value").is_not_null(), pl.col("direction") != "outbound")
        .select("j", judged="pos")
        .join(firsts.lazy().select("j", "pos", "last_end"), on="j")
        .filter(pl.col("judged") > pl.col("last_end"))
        .select("pos", is_sure=pl.lit(True))
        .unique()
    )
    confidence = pl.when(pl.col("is_sure")).then(1.0).otherwise(0.5)
    yield (
        firsts.lazy()
        .join(sure, on="pos", how="left")
        .select(piece("reopened", 0.35, earlier_pos=pl.col("last_end"), confidence=confidence))
    )


def _ranked(pieces: pl.DataFrame) -> pl.DataFrame:
    """Each piece of a step counts half of the heavier one before it.

    Most steps have one piece, which nothing needs to sort.
    """
    heavy = _severe(pieces.lazy()).collect()
    is_shared = heavy["step"].is_duplicated()
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    alone = heavy.filter(~is_shared).with_columns(
        kind_rank=pl.lit(0, pl.Int64), number=pl.lit(1, pl.Int64)
    )
    shared = (
        heavy.filter(is_shared)
        .sort(
            "step", "severity", pl.col("kind").to_physical(), "us", "pos", "detail",
            descending=[False, True, False, False, False, False], nulls_last=True,
        )
        .with_columns(
            kind_rank=row - latest(changed("step"), row),
            number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("step", "kind"),
        )
    )  # fmt: skip
    halves = pl.lit(2.0).pow(pl.col("kind_rank"))
    return pl.concat([alone, shared]).with_columns(
        (-(1 - pl.col(f"severity{side}")).log() / halves).alias(f"hazard{side}")
        for side in ("", "_lo", "_hi")
    )


def _severe(pieces: pl.LazyFrame) -> pl.LazyFrame:
    weight, sure = pl.col("weight"), pl.col("intensity") * pl.col("confidence")
    severities = {
        "severity": weight * pl.col("intensity") * pl.col("confidence"),
        "severity_lo": 0.5 * weight * sure,
        "severity_hi": pl.min_horizontal(1.5 * weight, pl.lit(0.95)) * sure,
    }
    rounded = {name: value.round(12) for name, value in severities.items()}
    return pieces.with_columns(**rounded).filter(pl.col("severity") > 0)
