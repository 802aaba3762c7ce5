-- purpose: a journey's hazard is the sum of its evidence's
-- severity: critical
-- table: journeys
-- sources: v_journeys, v_friction_evidence
with journeys as (
    select
        journey_id,
        friction_hazard
    from v_journeys
),

summed as (
    select
        journey_id,
        sum(hazard) as hazard_sum
    from v_friction_evidence
    group by journey_id
),

wrong as (
    select
        journeys.journey_id,
        journeys.friction_hazard,
        summed.hazard_sum
    from journeys
    left join summed on journeys.journey_id = summed.journey_id
    where
        (summed.hazard_sum is not null and journeys.friction_hazard is null)
        or abs(journeys.friction_hazard - coalesce(summed.hazard_sum, 0)) > 1e-9
)

select * from wrong
