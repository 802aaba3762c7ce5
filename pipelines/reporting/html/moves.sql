-- purpose: ways between the places of one journey type, and the friction on them
-- grain:   place and next place, the most travelled
-- sources: v_journeys, v_steps, v_friction_evidence
with

journeys as (
    from v_journeys
),

hurt as (
    select
        step_id,
        sum(hazard) as hazard
    from v_friction_evidence
    where locus = 'edge'
    group by step_id
),

steps as (
    select
        v_steps.step_id,
        coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel) as place,
        lag(coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel)) over (
            partition by v_steps.journey_id
            order by v_steps.seq
        ) as earlier
    from v_steps
    inner join journeys on v_steps.journey_id = journeys.journey_id
    where coalesce(journeys.journey_type, 'other') = $1
),

moves as (
    select
        steps.earlier,
        steps.place,
        count(*) as n_moves,
        avg(1 - exp(-coalesce(hurt.hazard, 0))) as friction01
    from steps
    left join hurt on steps.step_id = hurt.step_id
    where steps.earlier is not null and steps.place is not null and steps.earlier != steps.place
    group by all
    order by n_moves desc, steps.earlier asc, steps.place asc
    limit 24
)

select * from moves
