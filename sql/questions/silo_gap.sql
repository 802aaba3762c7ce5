-- purpose: share of friction between steps, and the gap in opinions where both were asked
-- question: How much lies between the departments, per journey type and owner?
-- grain: journey_type, owner
-- key: journey_type, owner
-- sources: v_journeys, v_silo_gaps
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

gaps as (
    select * from v_silo_gaps
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
        summed.*,
        share_of(summed.edge_hazard, summed.hazard) as edge_share,
        gaps.n_gaps,
        gaps.silo_gap,
        gaps.silo_gap_lo,
        gaps.silo_gap_hi,
        gaps.response_share,
        gaps.response_share_lo,
        gaps.response_share_hi
    from summed
    left join gaps
        on
            summed.journey_type is not distinct from gaps.journey_type
            and summed.owner is not distinct from gaps.owner
)

select * from shared
order by edge_hazard desc nulls last, journey_type asc, owner asc
