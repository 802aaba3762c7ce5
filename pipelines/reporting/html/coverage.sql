-- purpose: how much of what the detectors need was logged; compare owners only at equal coverage
-- grain:   owner of the journey, the biggest first
-- sources: v_journeys
with

journeys as (
    from v_journeys
),

coverage as (
    select
        owner,
        count(*) as n_journeys,
        avg(evidence_coverage) as evidence_coverage,
        count(friction_score) as n_friction,
        count(health_ops) as n_health,
        count(data_continuity) as n_continuity,
        count(customer_wait_s) as n_wait
    from journeys
    group by owner
    order by n_journeys desc, owner asc
    limit 24
)

select * from coverage
