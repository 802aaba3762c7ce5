-- purpose: share of friction between steps, per type and owner; a gap in opinions needs surveys
-- question: How much lies between the departments, per journey type and owner?
-- grain: journey_type, owner
-- key: journey_type, owner
-- sources: v_journeys
with journeys as (
    select
        journey_type,
        owner,
        friction_hazard,
        friction_edge_share,
        silos_crossed,
        evidence_coverage
    from v_journeys
    where friction_score is not null
),

summed as (
    select
        journey_type,
        owner,
        count(*) as n_journeys,
        sum(friction_hazard) as hazard,
        sum(friction_hazard * friction_edge_share) as edge_hazard,
        avg(silos_crossed) as silos_crossed_mean,
        avg(evidence_coverage) as coverage_mean
    from journeys
    group by journey_type, owner
),

shared as (
    select
        *,
        share_of(edge_hazard, hazard) as edge_share
    from summed
)

select * from shared
order by edge_hazard desc nulls last, journey_type asc, owner asc
