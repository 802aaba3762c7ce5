"""The tables as rejse publishes them, each a frame that is then written as Parquet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from tests.bench.polars.codes import NODES, SECOND, as_name, at
from tests.bench.polars.fields import within
from tests.bench.polars.later import Findings
from tests.bench.polars.scores import CONTEXTS, STAGES, STATUSES, friction

COSTS = (
    "friction_minutes_customer", "friction_minutes_company", "friction_minutes_measured_share",
    "friction_minutes_known_share", "friction_cost_known_share", "friction_cost",
    "friction_currency",
)  # fmt: skip
JOURNEY = (
    "journey_id", "customer_key", "journey_type", "case_id", "owner", "started_at", "ended_at",
    "state", "close_reason", "is_final", "n_events", "n_steps", "n_sessions",
    *(f"n_steps_{stage}" for stage in STAGES), "n_channels", "n_silos", "silos_crossed", "rework",
    "throughput_s", "busy_s", "idle_s", "time_to_resolution_s", "customer_wait_s",
    "need_driven_share", "n_contacts", "n_need_driven", "n_company_driven", "n_channel_switches",
    "n_repeat_contacts", "n_fallbacks", "n_reopens", "n_transfers", "n_escalations",
    "n_dead_ends", "n_abandoned", "n_info_conflicts", "n_handoffs",
    *(f"n_handoffs_{value}" for value in CONTEXTS), "n_handoffs_dropped", "n_ping_pong",
    "n_reasked_observed", "n_reasked_declared", "n_fields_known", "data_continuity", "n_promises",
    *(f"n_promises_{value}" for value in STATUSES), "n_evidence", "friction_hazard",
    "friction_score", "friction_score_lo", "friction_score_hi", "friction_edge_share", *COSTS,
    "outcome", "outcome01", "outcome_basis", "delivery01", "health_ops", "health_ops_lo",
    "health_ops_hi", "limiting_component",
)  # fmt: skip
OF_JOURNEY = ("journey_id", "customer_key", "is_final")


@dataclass(frozen=True)
class Whole:
    """All that was found; `steps` and `contacts` with names and what journeys say of them."""

    events: pl.DataFrame
    customers: pl.DataFrame
    findings: Findings
    evidence: pl.DataFrame
    hazards: pl.DataFrame
    journeys: pl.DataFrame
    steps: pl.DataFrame
    sessions: pl.DataFrame
    opinions: pl.DataFrame
    felt: pl.DataFrame


def keyed_by_code(journeys: pl.DataFrame) -> pl.DataFrame:
    """Journeys whose long keys are codes, since every table repeats them."""
    return journeys.with_columns(
        pl.col(name).cast(pl.Categorical(pl.Categories.random(f"rival_{name}")))
        for name in ("journey_id", "customer_key")
    )


def time(us: pl.Expr) -> pl.Expr:
    """A time from microseconds."""
    return us.cast(pl.Datetime("us", "UTC"))


def named_steps(findings: Findings, journeys: pl.DataFrame) -> pl.DataFrame:
    """Steps with their name and that of their journey."""
    of = at(journeys, findings.steps["j"], *OF_JOURNEY, "first_step")
    seq = pl.col("step") - pl.col("first_step") + 1
    journey = _texts(journeys, findings.steps["j"])
    return findings.steps.hstack(of).with_columns(
        seq=seq, step_id=pl.concat_str(journey, pl.lit("-"), seq.cast(pl.String).str.zfill(4))
    )


def _texts(journeys: pl.DataFrame, rows: pl.Series) -> pl.Expr:
    return pl.lit(journeys["journey_id"].cast(pl.String).gather(rows.cast(pl.UInt32)))


def named_sessions(findings: Findings, journeys: pl.DataFrame) -> pl.DataFrame:
    """Sessions with their number in the journey and their name."""
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    first = pl.when(pl.col("j").ne_missing(pl.col("j").shift())).then(row).forward_fill()
    of = at(journeys, findings.contacts["j"], *OF_JOURNEY)
    return (
        findings.contacts.hstack(of)
        .with_columns(seq=row - first + 1)
        .with_columns(
            session_id=pl.concat_str(
                _texts(journeys, findings.contacts["j"]), pl.lit("-s"), pl.col("seq")
            )
        )
    )


def out_events(whole: Whole) -> pl.LazyFrame:
    """Events with their customer's key in place of the customer."""
    keys = whole.customers["customer_key"].gather(whole.events["customer"])
    return whole.events.lazy().select(pl.lit(keys), pl.all().exclude("customer"))


def out_journeys(whole: Whole) -> pl.LazyFrame:
    """Journeys."""
    return whole.journeys.lazy().with_columns(
        journey_type="kind",
        started_at=time(pl.col("started_us")),
        ended_at=time(pl.col("last_us")),
        state=pl.when("is_closed").then(pl.lit("closed")).otherwise(pl.lit("open")),
    ).select(JOURNEY)  # fmt: skip


def out_sessions(whole: Whole) -> pl.LazyFrame:
    """Sessions."""
    return whole.sessions.lazy().select(
        "session_id", "seq", *OF_JOURNEY, pl.col("family").alias("channel_family"),
        "is_contact", "is_message", "direction", "is_need_driven", "channel", "intent", "outcome",
        "has_human", "has_machine", "n_events", "talk_s", "wait_s",
        time(pl.col("us")).alias("started_at"), time(pl.col("last_us")).alias("ended_at"),
    )  # fmt: skip


def out_steps(whole: Whole) -> pl.LazyFrame:
    """Steps."""
    findings, us = whole.findings, pl.col("us")
    last_us, end_us = pl.col("last_us"), pl.col("end_us")
    opens = findings.sessionised["pos"] == findings.sessionised["session_pos"]
    session = (opens.cum_sum() - 1).gather(findings.steps["session_pos"].cast(pl.UInt32))
    places = findings.company.places.lazy().select(
        "touchpoint", "stage", "place_silo", "system", "is_moment_of_truth"
    )
    again = findings.fields.requests.lazy().filter(pl.col("known_pos").is_not_null())
    reasked = again.group_by("step").agg(n_reasked=pl.len().cast(pl.Int64))
    waited = pl.max_horizontal(us - last_us.shift(), pl.lit(0, pl.Int64)) // SECOND
    return (
        whole.steps.lazy()
        .with_columns(
            wait_before_s=pl.when(pl.col("seq") > 1).then(waited),
            session_id=pl.lit(whole.sessions["session_id"].gather(session)),
        )
        .join(places, on="touchpoint", how="left", maintain_order="left")
        .join(reasked, on="step", how="left", maintain_order="left")
        .join(
            whole.hazards.lazy().select("step", "hazard"),
            on="step", how="left", maintain_order="left",
        )
        .with_columns(pl.col("n_reasked", "hazard").fill_null(0))
        .select(
            "step_id", "journey_id", "customer_key", "seq", "session_id", "event_ids",
            "touchpoint", "activity", "channel", "direction", "actor_type", "stage", "owner",
            "team", pl.coalesce("place_silo", "owner").alias("silo"),
            pl.coalesce("system", "owner", as_name(pl.col("channel"))).alias("system"),
            "intent", time(us).alias("started_at"), time(end_us).alias("ended_at"), "n_events",
            "outcome", "is_moment_of_truth", "is_pushed", "is_final", "wait_before_s", "queue_s",
            ((end_us - us) // SECOND).alias("processing_s"), "n_reasked", "hazard",
            friction("hazard").alias("friction"),
        )
    )  # fmt: skip


def out_friction_evidence(whole: Whole) -> pl.LazyFrame:
    """Evidence."""
    sessionised, rows, kind = whole.findings.sessionised, whole.evidence, pl.col("kind")
    number = pl.when(pl.col("number") > 1).then(pl.concat_str(pl.lit("-"), "number"))
    own = kind.cast(pl.String).is_in(["transfer", "escalation"])
    own &= pl.col("previous") == pl.col("step")
    has_before = pl.col("previous").is_not_null()
    event, earlier = (pl.concat_str(pl.lit("events/"), column) for column in ("id", "id_earlier"))
    # The earlier comes first: where there is none, the tail leaves it out.
    proof = pl.concat_list(earlier, event).list.tail(1 + pl.col("id_earlier").is_not_null())
    return pl.concat(
        [
            rows,
            at(whole.steps, rows["step"], "step_id", "owner", "touchpoint", *OF_JOURNEY),
            at(whole.steps, rows["previous"], "step_id", "owner", suffix="_before"),
            at(sessionised, rows["pos"], "id", "to_owner"),
            at(sessionised, rows["earlier_pos"], "id", suffix="_earlier"),
            at(whole.journeys, whole.steps["j"].gather(rows["step"]), "friction_hazard"),
            owed_by(whole, rows["step"]).to_frame("owner_journey"),
        ],
        how="horizontal",
    ).lazy().select(
        pl.concat_str("step_id", pl.lit("-"), "kind", number.fill_null("")).alias("evidence_id"),
        "journey_id", "step_id", "customer_key", "is_final",
        pl.col("step_id_before").alias("prev_step_id"), "kind",
        pl.when(kind.is_in(NODES)).then(pl.lit("node")).otherwise(pl.lit("edge")).alias("locus"),
        pl.when(kind == "promise_broken").then("owner_journey")
        .when(has_before).then("owner_before").otherwise("owner").alias("owner"),
        pl.when(kind == "handoff_dropped").then("detail")
        .when(own).then(pl.col("to_owner").cast(pl.String))
        .when(has_before).then(pl.col("owner").cast(pl.String)).alias("owner_to"),
        "touchpoint", time(pl.col("us")).alias("occurred_at"), _basis(),
        pl.col("raw").alias("raw_value"), pl.col("expected").alias("expected_value"),
        pl.col("weight").alias("base_weight"), "intensity", "confidence", "severity",
        "kind_rank", "hazard", (pl.col("hazard") / pl.col("friction_hazard")).alias("share"),
        "minutes_customer", _measured("minutes_customer", "is_waited"),
        "minutes_company", _measured("minutes_company", "is_worked"), "cost", "currency",
        pl.when(pl.col("n_priced") > 0).then(pl.col("n_priced") == 2).alias("is_cost_whole"),
        proof.alias("event_ids"), "detail",
    )  # fmt: skip


def _measured(minutes: str, is_measured: str) -> pl.Expr:
    basis = pl.when(is_measured).then(pl.lit("measured")).otherwise(pl.lit("assumed"))
    return pl.when(pl.col(minutes).is_not_null()).then(basis).alias(f"{minutes}_basis")


def _basis() -> pl.Expr:
    observed = pl.col("basis") == 0
    basis = pl.when(observed).then(pl.lit("observed")).otherwise(pl.lit("declared"))
    return basis.alias("basis")


def out_handoffs(whole: Whole) -> pl.LazyFrame:
    """Hand-offs seen, and those asked for that nobody took up."""
    seen, asked = whole.findings.handoffs.seen, whole.findings.handoffs.asked
    open_ones = asked.filter(pl.col("received_pos").is_null())
    taken = (
        asked.lazy()
        .filter(pl.col("received_step").is_not_null())
        .group_by(step="received_step")
        .agg(taken_due=pl.col("due").min())
    )
    back = whole.findings.handoffs.ping_pongs.lazy().with_columns(is_ping_pong=pl.lit(True))
    names = ("step_id", "owner", "team", "channel")
    handed = pl.concat(
        [
            seen.drop("pos", "j"),
            at(whole.steps, seen["giver"], *names, "last_us", suffix="_from"),
            at(whole.steps, seen["step"], *names, "us", *OF_JOURNEY),
        ],
        how="horizontal",
    )
    latency = pl.max_horizontal(pl.col("us") - pl.col("last_us_from"), pl.lit(0, pl.Int64))
    declared = pl.col("is_declared")
    of_seen = (
        handed.lazy()
        .join(taken, on="step", how="left")
        .join(back, on="step", how="left")
        .select(
            pl.col("step_id").alias("handoff_id"), *OF_JOURNEY,
            pl.col("step_id_from").alias("from_step"), pl.col("step_id").alias("to_step"),
            pl.col("owner_from").alias("from_owner"), pl.col("owner").alias("to_owner"),
            pl.col("team_from").alias("from_team"), pl.col("team").alias("to_team"),
            pl.col("channel_from").alias("from_channel"), pl.col("channel").alias("to_channel"),
            time(pl.col("us")).alias("occurred_at"), (latency // SECOND).alias("latency_s"),
            pl.col("n_known").alias("n_fields_known"), pl.col("n_passed").alias("n_fields_passed"),
            pl.col("n_again").alias("n_fields_reasked"), "context",
            pl.when(declared).then(pl.lit("declared")).otherwise(pl.lit("observed"))
            .alias("basis"),
            pl.when(pl.col("taken_due").is_not_null()).then(pl.lit(False)).alias("is_dropped"),
            pl.col("is_ping_pong").fill_null(False),
            time(pl.col("taken_due")).alias("due_at"),
        )
    )  # fmt: skip
    given = at(whole.steps, open_ones["step"], *names, *OF_JOURNEY)
    name = pl.concat_str("step_id", pl.lit("-to-events/"), "id")
    of_asked = open_ones.hstack(given).lazy().select(
        name.alias("handoff_id"), *OF_JOURNEY, pl.col("step_id").alias("from_step"),
        pl.col("owner").alias("from_owner"), "to_owner", pl.col("team").alias("from_team"),
        pl.col("channel").alias("from_channel"), time(pl.col("us")).alias("occurred_at"),
        pl.lit("observed").alias("basis"),
        pl.when("is_dropped").then(pl.lit(True)).alias("is_dropped"),
        pl.lit(False).alias("is_ping_pong"), time(pl.col("due")).alias("due_at"),
    )  # fmt: skip
    return pl.concat([of_seen, of_asked], how="diagonal")


def out_info_requests(whole: Whole) -> pl.LazyFrame:
    """Fields that steps asked for."""
    findings, requests = whole.findings, whole.findings.fields.requests
    known_step = findings.sessionised["step"].gather(requests["known_pos"].cast(pl.UInt32))
    requested = pl.concat(
        [
            requests.rename({"pos": "asked_pos"}),
            at(whole.steps, requests["step"], "step_id", "touchpoint", "owner", *OF_JOURNEY),
            at(
                findings.sessionised,
                requests["pos"],
                "touchpoint",
                "owner",
                "time",
                suffix="_asking",
            ),
            at(
                findings.sessionised,
                requests["known_pos"],
                "touchpoint",
                "owner",
                "time",
                suffix="_known",
            ),
            at(whole.steps, known_step, "step_id", suffix="_known"),
        ],
        how="horizontal",
    )
    systems = findings.company.places.lazy().select("touchpoint", "system")
    joined = requested.lazy().with_columns(of_step=within("step"))
    for side in ("asking", "known"):
        on = systems.rename({"touchpoint": f"touchpoint_{side}", "system": f"system_{side}"})
        joined = joined.join(on, on=f"touchpoint_{side}", how="left", maintain_order="left")
    answers = findings.fields.answers.lazy().select(of_step=within("step"), value_agrees="agrees")
    return joined.join(answers, on="of_step", how="left", maintain_order="left").select(
        "journey_id", "step_id", "customer_key", "is_final", "field", "touchpoint", "owner",
        pl.coalesce("system_asking", "owner_asking").alias("system_asking"),
        pl.coalesce("system_known", "owner_known").alias("system_known"),
        pl.col("step_id_known").alias("known_step_id"), pl.col("time_known").alias("known_since"),
        pl.col("time_asking").alias("occurred_at"),
        pl.col("known_pos").is_not_null().alias("is_reask"), "value_agrees", _basis(),
    )  # fmt: skip


def owed_by(whole: Whole, step: pl.Series) -> pl.Series:
    """Who owes what is promised in each of these steps: owner of the journey's type, else of it."""
    owner = at(whole.steps, step, "owner", "j")
    of_type = whole.journeys["type_owner"].gather(owner["j"].cast(pl.UInt32))
    return owner.select(pl.coalesce(pl.lit(of_type), "owner")).to_series()


def out_promises(whole: Whole) -> pl.LazyFrame:
    """Promises."""
    promises = whole.findings.promises
    late = pl.col("delivered_us") - pl.col("due")
    of_step = at(whole.steps, promises["step"], "step_id", *OF_JOURNEY)
    owner = owed_by(whole, promises["step"])
    return promises.with_columns(owner=owner).hstack(of_step).lazy().select(
        "promise_id", "journey_id", "step_id", "customer_key", "is_final", "kind", "made_by",
        "owner", time(pl.col("us")).alias("made_at"), time(pl.col("due")).alias("due_at"),
        time(pl.col("delivered_us")).alias("delivered_at"), "status",
        pl.when(late > 0).then(late // SECOND).alias("lateness_s"), "n_moves",
    )  # fmt: skip


TABLES: dict[str, Callable[[Whole], pl.LazyFrame]] = {
    "events": out_events, "journeys": out_journeys, "steps": out_steps, "sessions": out_sessions,
    "friction_evidence": out_friction_evidence, "handoffs": out_handoffs,
    "info_requests": out_info_requests, "promises": out_promises,
}  # fmt: skip
