-- purpose: a journey's hazard is the sum of its steps' hazards
-- severity: critical
-- table: steps
-- sources: v_journeys, v_steps
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
    from v_steps
    group by journey_id
),

wrong as (
    select
        journeys.journey_id,
        journeys.friction_hazard,
        summed.hazard_sum
    from journeys
    inner join summed on journeys.journey_id = summed.journey_id
    where abs(journeys.friction_hazard - summed.hazard_sum) > 1e-9
)

select * from wrong
