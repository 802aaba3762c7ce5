-- purpose: journeys by type and owner; median health with its middle half
-- grain:   journey type and owner, the biggest first
-- sources: v_journeys
with

journeys as (
    from v_journeys
),

types as (
    select
        coalesce(journey_type, 'other') as journey_type,
        owner,
        count(*) as n_journeys,
        count(*) filter (state = 'closed') as n_closed,
        count(health_ops) as n_health,
        quantile_cont(health_ops, [0.25, 0.5, 0.75]) as health_ops,
        median(health_ops_lo) as health_ops_lo,
        median(health_ops_hi) as health_ops_hi,
        median(friction_score) as friction_score,
        count(outcome01) as n_outcome,
        count(*) filter (outcome01 = 1) as n_resolved,
        median(delivery01) as delivery01,
        sum(friction_hazard) as hazard,
        avg(evidence_coverage) as evidence_coverage
    from journeys
    group by all
    order by n_journeys desc, coalesce(journey_type, 'other') asc, owner asc
    limit 24
)

select * from types
