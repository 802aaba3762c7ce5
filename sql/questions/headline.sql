-- purpose: the headline of a publication: how the journeys of each type go; health_ops and friction
--          are medians of those old enough to be judged, edge_percent is of all their hazard
-- question: How healthy is each kind of journey, and how much of its friction lies between steps?
-- grain: journey type and owner
-- key: journey_type, owner
-- sources: v_journey_types
with types as (
    select * from v_journey_types
),

rounded as (
    select
        journey_type,
        owner,
        n_journeys,
        n_open,
        n_judged,
        band,
        round(health_ops_median, 1) as health_ops,
        round(friction_median, 1) as friction,
        round(100 * edge_share) as edge_percent,
        round(100 * resolved_share) as resolved_percent,
        round(100 * resolved_late_share) as late_percent,
        round(100 * undecided_share) as undecided_percent,
        round(handoffs_mean, 1) as handoffs,
        round(coverage_mean, 2) as coverage
    from types
)

select * from rounded
order by n_journeys desc, journey_type asc, owner asc
