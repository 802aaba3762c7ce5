"""Columns and types of the eight tables, as they are written to Parquet."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")
TYPES = {
    "text": pa.string(), "time": TIME, "count": pa.int64(), "number": pa.float64(),
    "flag": pa.bool_(), "texts": pa.list_(pa.string()),
    "info": pa.list_(pa.struct({name: pa.string() for name in ("field", "op", "value_hmac")})),
    "promise": pa.struct(
        {"id": pa.string(), "kind": pa.string(), "op": pa.string(), "due_time": TIME}
    ),
}  # fmt: skip


def _table(**columns: str) -> pa.Schema:
    """A table from the names of its columns, listed by type."""
    return pa.schema(
        [(name, TYPES[kind]) for kind, names in columns.items() for name in names.split()]
    )


#: Published tables, in the names and columns of `duckdb/10_write.sql`.
SCHEMAS: Mapping[str, pa.Schema] = {
    "events": _table(
        text="customer_key id channel activity direction actor_type touchpoint owner journey_type"
        " intent outcome to_owner message_kind relevance_basis",
        time="time", count="wait_s talk_s", info="info", promise="promise",
    ),
    "journeys": _table(
        text="journey_id customer_key journey_type owner state close_reason outcome"
        " limiting_component",
        time="started_at ended_at",
        flag="is_final",
        count="n_events n_steps n_sessions n_steps_before n_steps_during n_steps_after n_channels"
        " n_silos silos_crossed rework throughput_s busy_s idle_s time_to_resolution_s"
        " customer_wait_s n_contacts n_need_driven n_company_driven n_channel_switches"
        " n_repeat_contacts n_fallbacks n_reopens n_transfers n_escalations n_dead_ends"
        " n_abandoned n_info_conflicts n_handoffs n_handoffs_full n_handoffs_part"
        " n_handoffs_none n_handoffs_unknown n_handoffs_dropped n_ping_pong n_reasked_observed"
        " n_reasked_declared n_fields_known n_promises n_promises_kept n_promises_late"
        " n_promises_broken n_promises_open n_evidence",
        number="need_driven_share data_continuity friction_hazard friction_score"
        " friction_score_lo friction_score_hi friction_edge_share outcome01 delivery01 health_ops"
        " health_ops_lo health_ops_hi",
    ),
    "steps": _table(
        text="step_id journey_id customer_key session_id touchpoint activity channel direction"
        " actor_type stage owner team silo system intent outcome",
        count="seq n_events wait_before_s queue_s processing_s n_reasked",
        texts="event_ids", time="started_at ended_at",
        flag="is_moment_of_truth is_pushed is_final", number="hazard friction",
    ),
    "sessions": _table(
        text="session_id journey_id customer_key channel_family direction channel intent outcome",
        count="seq n_events talk_s wait_s",
        flag="is_final is_contact is_message is_need_driven has_human has_machine",
        time="started_at ended_at",
    ),
    "friction_evidence": _table(
        text="evidence_id journey_id step_id customer_key prev_step_id kind locus owner owner_to"
        " touchpoint basis detail",
        flag="is_final", time="occurred_at", count="kind_rank", texts="event_ids",
        number="raw_value expected_value base_weight intensity confidence severity hazard share"
        " minutes_customer",
    ),
    "handoffs": _table(
        text="handoff_id journey_id customer_key from_step to_step from_owner to_owner from_team"
        " to_team from_channel to_channel context basis",
        flag="is_final is_dropped is_ping_pong", time="occurred_at due_at",
        count="latency_s n_fields_known n_fields_passed n_fields_reasked",
    ),
    "info_requests": _table(
        text="journey_id step_id customer_key field touchpoint owner system_asking system_known"
        " known_step_id basis",
        flag="is_final is_reask value_agrees", time="known_since occurred_at",
    ),
    "promises": _table(
        text="promise_id journey_id step_id customer_key kind made_by owner status",
        flag="is_final", time="made_at due_at delivered_at", count="lateness_s n_moves",
    ),
}  # fmt: skip
