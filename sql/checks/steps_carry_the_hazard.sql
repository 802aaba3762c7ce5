-- purpose: a journey's hazard is the sum of its steps' hazards
-- severity: critical
-- table: steps
-- sources: v_journeys, journey_steps
with journeys as (
    select
        customer_key,
        journey_id,
        friction_hazard
    from v_journeys
),

wrong as (
    select
        journeys.journey_id,
        journeys.friction_hazard,
        summed.hazard_sum
    from journeys
    inner join journey_steps as summed
        on
            journeys.customer_key = summed.customer_key
            and journeys.journey_id = summed.journey_id
    where abs(journeys.friction_hazard - summed.hazard_sum) > 1e-9
)

select * from wrong
