-- purpose: the tables as rejse publishes them, each a view `out_<name>` that is then copied to
--          Parquet, in the columns that this log can fill
-- grain:   as in the declared tables
-- key:     as in the declared tables
-- sources: what the oracle publishes (`o_<name>`), accepted

create view out_events as
select * exclude (source, identitytype) from accepted;

create view out_journeys as
select
    * exclude (
        product_id, lifecycle_stage, segment, n_reasked_inferred, internal_wait_s,
        internal_wait_work_s, third_party_wait_s, waited_for_customer_s, evidence_coverage,
        logged_cost, logged_currency
    )
from o_journeys;

create view out_steps as
select
    step_id,
    journey_id,
    customer_key,
    seq,
    session_id,
    event_ids,
    touchpoint,
    activity,
    channel,
    direction,
    actor_type,
    stage,
    owner,
    team,
    silo,
    system,
    intent,
    started_at,
    ended_at,
    n_events,
    outcome,
    is_moment_of_truth,
    is_pushed,
    is_final,
    wait_before_s,
    queue_s,
    processing_s,
    n_reasked,
    hazard,
    friction
from o_steps;

create view out_sessions as
select
    session_id,
    seq,
    journey_id,
    customer_key,
    is_final,
    channel_family,
    is_contact,
    is_message,
    direction,
    is_need_driven,
    channel,
    intent,
    outcome,
    has_human,
    has_machine,
    n_events,
    talk_s,
    wait_s,
    started_at,
    ended_at
from o_sessions;

create view out_friction_evidence as
select
    * exclude (number),
    concat(step_id, '-', kind, if(number > 1, concat('-', number), '')) as evidence_id
from (
    select
        *,
        row_number() over (partition by step_id, kind order by kind_rank) as number
    from o_friction_evidence
) as numbered;

create view out_handoffs as
select
    coalesce(to_step, concat(from_step, '-to-', asked_id)) as handoff_id,
    journey_id,
    customer_key,
    is_final,
    from_step,
    to_step,
    from_owner,
    to_owner,
    from_team,
    to_team,
    from_channel,
    to_channel,
    occurred_at,
    latency_s,
    n_fields_known,
    n_fields_passed,
    n_fields_reasked,
    context,
    basis,
    is_dropped,
    is_ping_pong,
    due_at
from o_handoffs;

create view out_info_requests as
select
    journey_id,
    step_id,
    customer_key,
    is_final,
    field,
    touchpoint,
    owner,
    system_asking,
    system_known,
    known_step_id,
    known_since,
    occurred_at,
    is_reask,
    value_agrees,
    basis
from o_info_requests;

create view out_promises as
select
    promise_id,
    journey_id,
    step_id,
    customer_key,
    is_final,
    kind,
    made_by,
    owner,
    made_at,
    due_at,
    delivered_at,
    status,
    lateness_s,
    n_moves
from o_promises;

create view out_sla_results as
select * from o_sla_results;

create view out_experience as
select
    x_id,
    customer_key,
    journey_id,
    step_id,
    respondent_type,
    instrument,
    level,
    occurred_at,
    journey_type,
    touchpoint,
    owner,
    raw_score,
    scale_min,
    scale_max,
    is_solicited,
    is_answered,
    scored_as,
    invited_at,
    responded_at,
    acted_at,
    join_method,
    unjoined,
    score01,
    is_top_box,
    is_ignored,
    is_invited,
    is_in_time,
    join_gap_s,
    is_final
from o_experience;

create view out_journey_experience as
select * exclude (n_scores_texts, n_emotions_texts, emotion_texts_share)
from o_journey_experience;
