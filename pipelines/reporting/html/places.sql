-- purpose: the places of one journey type: visits, friction here and on the way here, waiting
-- grain:   place (touchpoint, else activity, else channel), the most visited
-- sources: v_journeys, v_steps, v_friction_evidence
with

journeys as (
    from v_journeys
),

evidence as (
    select
        step_id,
        sum(hazard) as hazard,
        coalesce(sum(hazard) filter (locus = 'edge'), 0) as edge_hazard
    from v_friction_evidence
    group by step_id
),

steps as (
    select
        v_steps.*,
        coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel) as place,
        v_steps.seq / max(v_steps.seq) over (partition by v_steps.journey_id) as progress
    from v_steps
    inner join journeys on v_steps.journey_id = journeys.journey_id
    where coalesce(journeys.journey_type, 'other') = $1
),

kinds as (
    select
        steps.place,
        v_friction_evidence.kind,
        sum(v_friction_evidence.hazard) as hazard
    from steps
    inner join v_friction_evidence on steps.step_id = v_friction_evidence.step_id
    group by all
),

worst as (
    select
        place,
        arg_max(kind, hazard) as worst_kind
    from kinds
    group by place
),

places as (
    select
        steps.place,
        mode(steps.stage) as main_stage,
        mode(steps.channel) as main_channel,
        mode(steps.owner) as main_owner,
        count(*) as n_visits,
        count(distinct steps.journey_id) as n_journeys,
        avg(steps.progress) as progress,
        count(*) filter (evidence.step_id is not null) as n_with_friction,
        avg(1 - exp(-coalesce(evidence.hazard, 0))) as friction01,
        coalesce(sum(evidence.hazard), 0) as hazard,
        coalesce(sum(evidence.edge_hazard), 0) as edge_hazard,
        count(steps.queue_s) as n_wait,
        median(steps.queue_s) as queue_s,
        any_value(worst.worst_kind) as worst_kind
    from steps
    left join evidence on steps.step_id = evidence.step_id
    left join worst on steps.place = worst.place
    where steps.place is not null
    group by steps.place
    order by n_journeys desc, steps.place asc
    limit 12
)

select * from places
