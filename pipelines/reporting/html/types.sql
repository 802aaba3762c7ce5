-- purpose: journeys by type and owner; health as the headline question has it (v_health)
-- grain:   journey type and owner, the biggest first
-- sources: v_journey_types, v_health, v_journeys, v_journey_cohorts
with

types as (
    from v_journey_types
),

healthy as (
    from v_health
),

delivered as (
    select
        journeys.journey_type,
        journeys.owner,
        median(journeys.delivery01) as delivery01
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
    where cohorts.is_mature
    group by all
),

joined as (
    select
        coalesce(types.journey_type, 'other') as journey_type,
        types.owner,
        types.n_journeys,
        types.n_journeys - types.n_open as n_closed,
        types.n_health,
        types.band,
        case
            when healthy.n_health > 0
                then
                    [
                        healthy.health_ops_p25,
                        healthy.health_ops_median,
                        healthy.health_ops_p75
                    ]
        end as health_ops,
        healthy.health_ops_median_lo as health_ops_lo,
        healthy.health_ops_median_hi as health_ops_hi,
        types.friction_median as friction_score,
        types.n_judged,
        types.n_resolved,
        types.n_undecided,
        delivered.delivery01,
        types.hazard,
        types.coverage_mean as evidence_coverage
    from types
    left join healthy
        on
            types.journey_type is not distinct from healthy.journey_type
            and types.owner is not distinct from healthy.owner
    left join delivered
        on
            types.journey_type is not distinct from delivered.journey_type
            and types.owner is not distinct from delivered.owner
    order by
        types.n_journeys desc,
        coalesce(types.journey_type, 'other') asc,
        types.owner asc
    limit 24
)

select * from joined
