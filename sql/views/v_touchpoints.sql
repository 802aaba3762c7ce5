-- purpose: each touchpoint with its load, its waits and its friction
-- grain: touchpoint and owner
-- key: touchpoint, owner
-- sources: v_steps, v_friction_evidence
create or replace view v_touchpoints as
with evidence as (
    select
        step_id,
        journey_id,
        count(*) as n_evidence
    from v_friction_evidence
    group by step_id, journey_id
),

steps as (
    select
        v_steps.*,
        coalesce(evidence.n_evidence, 0) as n_evidence
    from v_steps
    left join evidence
        on v_steps.journey_id = evidence.journey_id and v_steps.step_id = evidence.step_id
),

counted as (
    select
        touchpoint,
        owner,
        mode(stage) as main_stage,
        count(*) as n_steps,
        count(distinct journey_id) as n_journeys,
        coalesce(bool_or(is_moment_of_truth), false) as is_moment_of_truth,
        median(wait_before_s) as wait_before_s_median,
        -- a lone event without a start and an end tells no time
        median(processing_s) filter (n_events > 1 or processing_s > 0) as processing_s_median,
        sum(n_reasked) as n_reasked,
        sum(n_evidence) as n_evidence,
        sum(hazard) as hazard,
        count(*) filter (n_evidence > 0) as n_rough
    from steps
    group by touchpoint, owner
),

rated as (
    select
        *,
        share_of(hazard, sum(hazard) over ()) as hazard_share,
        share_of(n_rough, n_steps) as rough_share,
        wilson_lo(n_rough, n_steps) as rough_share_lo,
        wilson_hi(n_rough, n_steps) as rough_share_hi
    from counted
)

select * from rated;

comment on column v_touchpoints.main_stage is
'Most frequent stage: before, during or after the service.';
comment on column v_touchpoints.n_steps is 'Visits to the touchpoint.';
comment on column v_touchpoints.n_journeys is 'Journeys that went through it.';
comment on column v_touchpoints.wait_before_s_median is
'Median time since the step before, whoever paused; waiting is in v_waiting [s].';
comment on column v_touchpoints.processing_s_median is
'Median processing time of steps with one: of several events, or with start, end or talk logged;
null: none has [s].';
comment on column v_touchpoints.n_reasked is 'Fields asked again there.';
comment on column v_touchpoints.n_evidence is 'Pieces of evidence there and on the way to it.';
comment on column v_touchpoints.hazard is 'Sum of hazards there and on the way to it.';
comment on column v_touchpoints.n_rough is 'Visits with evidence.';
comment on column v_touchpoints.hazard_share is 'Share of all hazard.';
comment on column v_touchpoints.rough_share is 'Share of visits with evidence; null: none counted.';
