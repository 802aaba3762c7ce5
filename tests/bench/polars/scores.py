"""Journeys with their metrics and scores. Grain: one journey, in order of `j`."""

from __future__ import annotations

import polars as pl

from tests.bench.polars.codes import DAY, NODES, SECOND
from tests.bench.polars.company import FIRST_CASE, Company
from tests.bench.polars.costs import of_journeys
from tests.bench.polars.events import hashed
from tests.bench.polars.later import Findings
from tests.bench.polars.promises import END, TOO_LATE

COUNTED = {
    "n_channel_switches": "channel_switch", "n_fallbacks": "channel_fallback",
    "n_reopens": "reopened", "n_transfers": "transfer", "n_escalations": "escalation",
    "n_dead_ends": "dead_end", "n_abandoned": "abandonment", "n_info_conflicts": "info_conflict",
}  # fmt: skip
STAGES = ("before", "during", "after")
CONTEXTS = ("full", "part", "none", "unknown")
STATUSES = ("kept", "late", "broken", "open")
CERTAIN = 99.99999999999999
#: Weights of outcome and delivery in health, and the least that either may count.
OUTCOME_PART, DELIVERY_PART, LEAST = 0.35, 0.40, 0.1


def hazards(findings: Findings, evidence: pl.DataFrame) -> pl.DataFrame:
    """Hazard of each step that has evidence."""
    return evidence.group_by("step").agg(pl.col("hazard").sum())


def journeys(findings: Findings, customers: pl.DataFrame, evidence: pl.DataFrame) -> pl.DataFrame:
    """All columns of journeys, and `j` and `first_step`."""
    parts = [
        _of_steps(findings),
        _of_contacts(findings),
        *_of_handoffs(findings),
        _of_requests(findings),
        _of_fields(findings),
        _of_promises(findings),
        *_of_evidence(findings, evidence),
        _of_levels(findings),
        findings.pairs.repeats.lazy().group_by("j").agg(n_repeat_contacts=_count()),
    ]
    whole = findings.ends.lazy()
    for part in parts:
        whole = whole.join(part, on="j", how="left", maintain_order="left")
    key = customers.lazy().select("customer_key").with_row_index("customer")
    types = findings.company.types.lazy().select("kind", "type_owner", "expects_outcome")
    return (
        whole.join(types, on="kind", how="left", maintain_order="left")
        .join(key, on="customer", how="left", maintain_order="left")
        .with_columns(pl.col("^n_.*$", "hazard", "hazard_lo", "hazard_hi").fill_null(0))
        .with_columns(_carried())
        .pipe(_settled, findings.company)
        .pipe(_scored)
        .pipe(_priced, findings.company.is_priced)
        .collect()
    )


def _count(which: pl.Expr | None = None) -> pl.Expr:
    return (pl.len() if which is None else which.sum()).cast(pl.Int64)


def _of_steps(findings: Findings) -> pl.LazyFrame:
    places = findings.company.places.lazy().select("touchpoint", "stage", "place_silo")
    placed = (
        findings.steps.lazy()
        .select("j", "step", "touchpoint", "owner")
        .join(places, on="touchpoint", how="left", maintain_order="left")
        .with_columns(silo=pl.coalesce("place_silo", "owner"))
    )
    silo = pl.col("j").cast(pl.Int64) * (1 << 16) + pl.col("silo").to_physical()
    n_silos = (
        placed.filter(pl.col("silo").is_not_null())
        .select("j", silo=silo)
        .unique("silo")
        .group_by("j")
        .agg(n_silos=_count())
    )
    return (
        placed.with_columns(pl.col("j").set_sorted())
        .group_by("j", maintain_order=True)
        .agg(
            pl.col("step").first().alias("first_step"),
            n_steps=_count(),
            has_stage=pl.col("stage").is_not_null().any(),
            has_silo=pl.col("silo").is_not_null().any(),
            **{f"n_steps_{stage}": _count(pl.col("stage") == stage) for stage in STAGES},
        )
        .join(n_silos, on="j", how="left", maintain_order="left")
    )


def _of_contacts(findings: Findings) -> pl.LazyFrame:
    contact, need = pl.col("is_contact"), pl.col("is_need_driven")
    sold = pl.when(contact & (pl.col("direction") == "inbound")).then("n_sales").otherwise(0)
    contacts = findings.contacts.lazy().with_columns(pl.col("j").set_sorted())
    return contacts.group_by("j", maintain_order=True).agg(
        n_sessions=_count(),
        n_contacts=_count(contact),
        n_need_driven=_count(need),
        n_company_driven=_count(contact & ~need) + sold.sum(),
    )


def _of_handoffs(findings: Findings) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    back = findings.handoffs.ping_pongs.lazy().with_columns(is_ping_pong=pl.lit(True))
    context = pl.col("context")
    seen = (
        findings.handoffs.seen.lazy()
        .join(back, on="step", how="left")
        .group_by("j")
        .agg(
            n_handoffs=_count(),
            **{f"n_handoffs_{value}": _count(context == value) for value in CONTEXTS},
            n_ping_pong=_count(pl.col("is_ping_pong")),
        )
    )
    asked = (
        findings.handoffs.asked.lazy()
        .group_by("j")
        .agg(n_handoffs_dropped=_count(pl.col("is_dropped")), asked_due=pl.col("due").max())
    )
    return seen, asked


def _of_requests(findings: Findings) -> pl.LazyFrame:
    again = findings.fields.requests.lazy().filter(pl.col("known_pos").is_not_null())
    is_seen = pl.col("basis") == 0
    return again.group_by("j").agg(
        n_reasked_observed=_count(is_seen),
        n_reasked_declared=_count(pl.col("basis") == 1),
        n_fields_reasked=pl.col("of").filter(is_seen).n_unique().cast(pl.Int64),
    )


def _of_fields(findings: Findings) -> pl.LazyFrame:
    return (
        findings.fields.known.lazy()
        .filter(pl.col("basis") == 0)
        .group_by("of")
        .agg(
            pl.col("j").first(),
            is_known=pl.col("first_observed").is_not_null().any(),
            is_needed=(pl.col("first_observed") < pl.col("pos")).any(),
        )
        .group_by("j")
        .agg(n_fields_known=_count(pl.col("is_known")), n_needed=_count(pl.col("is_needed")))
    )


def _of_promises(findings: Findings) -> pl.LazyFrame:
    status = pl.col("status")
    return findings.promises.lazy().group_by("j").agg(
        n_promises=_count(),
        **{f"n_promises_{value}": _count(status == value) for value in STATUSES},
        promised_until=END.max(),
    )  # fmt: skip


def _of_levels(findings: Findings) -> pl.LazyFrame:
    return findings.levels.lazy().group_by("j").agg(levels_until=pl.col("due").max() + TOO_LATE)


def _of_evidence(findings: Findings, evidence: pl.DataFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Hazards of journeys, and their pieces by kind; minutes and money."""
    kind = pl.col("kind")
    edge = pl.when(kind.is_in(NODES)).then(0.0).otherwise("hazard")
    journey = findings.steps["j"].gather(evidence["step"].cast(pl.UInt32))
    counted = (
        evidence.lazy()
        .with_columns(j=journey)
        .group_by("j")
        .agg(
            pl.col("hazard", "hazard_lo", "hazard_hi").sum(),
            edge_hazard=edge.sum(),
            n_evidence=_count(),
            **{name: _count(kind == value) for name, value in COUNTED.items()},
        )
    )
    return counted, of_journeys(journey, evidence)


#: Columns that are null in journeys that do not carry what they are made of.
MADE_OF = {
    **dict.fromkeys((f"n_steps_{stage}" for stage in STAGES), "has_stage"),
    **dict.fromkeys((f"n_handoffs_{value}" for value in CONTEXTS), "has_owner"),
    "n_handoffs": "has_owner", "n_ping_pong": "has_owner", "n_silos": "has_silo",
    "n_repeat_contacts": "has_intent", "n_reopens": "has_comeback",
    "n_reasked_declared": "has_touchpoint",
}  # fmt: skip


def _carried() -> list[pl.Expr]:
    """Null is not zero; outcomes, promises and the like the log says where there are some."""
    return [pl.when(has).then(name).alias(name) for name, has in MADE_OF.items()]


def _priced(whole: pl.LazyFrame, is_priced: bool) -> pl.LazyFrame:
    """Sums are 0 where friction could be priced and is none."""
    none = pl.when((pl.col("n_evidence") == 0) & is_priced).then(0.0)
    one_currency = pl.col("friction_currency") == pl.col("least_currency")
    return whole.with_columns(
        pl.coalesce(name, none).alias(name)
        for name in ("friction_minutes_customer", "friction_minutes_company")
    ).with_columns(
        friction_cost=pl.when(one_currency.fill_null(True)).then(
            pl.coalesce("friction_cost", none)
        ),
        friction_currency=pl.when(one_currency).then("friction_currency"),
        friction_cost_known_share=pl.when(is_priced).then("friction_cost_known_share"),
    )


def _settled(whole: pl.LazyFrame, company: Company) -> pl.LazyFrame:
    """Whether nothing can change a journey any more; outcome and value where it is closed."""
    settled = pl.max_horizontal(
        "deadline", pl.col("last_us") + company.largest_gap, "promised_until", "asked_due",
        "levels_until",
    )  # fmt: skip
    closed, expects = pl.col("is_closed"), pl.col("expects_outcome").fill_null(False)
    case = pl.col("strand") - FIRST_CASE
    return whole.with_columns(
        is_final=settled + DAY < company.passed,
        case_id=pl.lit(company.cases.names).gather(pl.when(case >= 0).then(case).cast(pl.UInt32))
        if len(company.cases.names)
        else pl.lit(None, pl.String),
        outcome=pl.when(closed).then(
            pl.coalesce(
                pl.col("decided_outcome").cast(pl.String),
                pl.when(expects).then(pl.lit("unresolved")),
            )
        ),
        outcome01=pl.when(closed).then(pl.coalesce("decided_value", pl.when(expects).then(0.0))),
        outcome_basis=pl.when(closed & (pl.col("decided_outcome").is_not_null() | expects)).then(
            pl.when("is_recorded").then(pl.lit("recorded")).otherwise(pl.lit("assumed"))
        ),
    )


def friction(hazard: str) -> pl.Expr:
    """F, 0 to 100, never quite 100."""
    return (100 * (1 - (-pl.col(hazard)).exp())).clip(upper_bound=CERTAIN)


def _health(hazard: str) -> pl.Expr:
    """Weighted harmonic mean of outcome and delivery; null without an outcome."""
    outcome, delivery = pl.col("outcome01"), (-pl.col(hazard)).exp()
    parts = OUTCOME_PART / outcome.clip(lower_bound=LEAST)
    parts += DELIVERY_PART / delivery.clip(lower_bound=LEAST)
    return 100 * (OUTCOME_PART + DELIVERY_PART) / parts


def _limiting() -> pl.Expr:
    outcome, delivery = pl.col("outcome01"), (-pl.col("hazard")).exp()
    lost = OUTCOME_PART * (1 / outcome.clip(lower_bound=LEAST) - 1)
    spent = DELIVERY_PART * (1 / delivery.clip(lower_bound=LEAST) - 1)
    return (
        pl.when(outcome.is_null()).then(None)
        .when(lost < spent).then(pl.lit("delivery"))
        .when(outcome < 1).then(pl.lit("outcome"))
    )  # fmt: skip


def _scored(whole: pl.LazyFrame) -> pl.LazyFrame:
    has_start = pl.col("start_us").is_not_null()
    ended = pl.max_horizontal("end_us", "started_us")
    throughput = pl.when(has_start).then(_seconds(ended - pl.col("started_us")))
    busy = pl.when(has_start).then(_seconds(pl.col("busy_us").fill_null(0)))
    resolved = pl.max_horizontal(pl.col("decided_us") - pl.col("started_us"), pl.lit(0, pl.Int64))
    driven = pl.col("n_need_driven") + pl.col("n_company_driven")
    needed = pl.col("n_needed")
    named = pl.concat_str(
        [
            "customer_key",
            pl.when(pl.col("case_id").is_null()).then(pl.lit("none")).otherwise(pl.lit("case")),
            pl.coalesce("case_id", pl.col("kind").cast(pl.String)),
            pl.lit("events"),
            "first_id",
        ],
        separator="\x1f",
    )
    return whole.with_columns(
        journey_id=hashed(named).str.slice(0, 16),
        owner=pl.coalesce("type_owner", "first_owner"),
        silos_crossed=pl.when(pl.col("n_silos") > 0).then(pl.col("n_silos") - 1),
        rework=pl.when(pl.col("n_internal") > 0).then(
            pl.col("n_internal") - pl.col("n_internal_kinds")
        ),
        throughput_s=throughput,
        busy_s=busy,
        idle_s=throughput - busy,
        time_to_resolution_s=pl.when("is_held", "is_closed", has_start).then(_seconds(resolved)),
        need_driven_share=pl.when(driven > 0).then(pl.col("n_need_driven") / driven),
        data_continuity=pl.when(needed > 0).then(1 - pl.col("n_fields_reasked") / needed),
        friction_score=friction("hazard"),
        friction_score_lo=friction("hazard_lo"),
        friction_score_hi=friction("hazard_hi"),
        friction_edge_share=pl.when(pl.col("hazard") > 0).then(
            pl.col("edge_hazard") / pl.col("hazard")
        ),
        delivery01=(-pl.col("hazard")).exp(),
        health_ops=_health("hazard"),
        health_ops_lo=_health("hazard_hi"),
        health_ops_hi=_health("hazard_lo"),
        limiting_component=_limiting(),
    ).rename({"hazard": "friction_hazard"})


def _seconds(microseconds: pl.Expr) -> pl.Expr:
    return microseconds // SECOND
