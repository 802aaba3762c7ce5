-- purpose: ways between the places of one journey type, and how many of them hurt
-- grain:   place and next place, the most travelled
-- sources: v_journeys, v_steps, v_friction_evidence
with

journeys as (
    from v_journeys
),

hurt as (
    select distinct step_id
    from v_friction_evidence
    where locus = 'edge'
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
        count(hurt.step_id) as n_hurt
    from steps
    left join hurt on steps.step_id = hurt.step_id
    where steps.earlier is not null and steps.place is not null and steps.earlier != steps.place
    group by all
    order by n_moves desc, steps.earlier asc, steps.place asc
    limit 24
)

select * from moves
