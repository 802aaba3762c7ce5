-- purpose: journeys by type and owner; median health with its middle half
-- grain:   journey type and owner, the biggest first
-- sources: v_journeys, v_journey_cohorts
with

journeys as (
    select
        journeys.* replace (
            case when cohorts.is_mature then journeys.health_ops end as health_ops,
            case when cohorts.is_mature then journeys.health_ops_lo end as health_ops_lo,
            case when cohorts.is_mature then journeys.health_ops_hi end as health_ops_hi,
            case when cohorts.is_mature then journeys.friction_score end as friction_score
        ),
        cohorts.is_mature,
        cohorts.is_judged,
        cohorts.is_resolved_in_time,
        cohorts.is_undecided
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
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
        count(*) filter (is_judged) as n_judged,
        count(*) filter (is_resolved_in_time) as n_resolved,
        count(*) filter (is_undecided) as n_undecided,
        median(delivery01) as delivery01,
        sum(friction_hazard) as hazard,
        avg(evidence_coverage) as evidence_coverage
    from journeys
    group by all
    order by n_journeys desc, coalesce(journey_type, 'other') asc, owner asc
    limit 24
)

select * from types
