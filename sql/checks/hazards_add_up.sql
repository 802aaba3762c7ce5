-- purpose: a journey's hazard is the sum of its evidence's
-- severity: critical
-- table: journeys
-- sources: v_journeys, journey_evidence
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
    left join journey_evidence as summed
        on
            journeys.customer_key = summed.customer_key
            and journeys.journey_id = summed.journey_id
    where
        (summed.hazard_sum is not null and journeys.friction_hazard is null)
        or abs(journeys.friction_hazard - coalesce(summed.hazard_sum, 0)) > 1e-9
)

select * from wrong
