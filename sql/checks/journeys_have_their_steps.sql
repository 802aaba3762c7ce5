-- purpose: a journey counts the steps that it has
-- severity: critical
-- table: journeys
-- sources: v_journeys, journey_steps
with journeys as (
    select
        customer_key,
        journey_id,
        n_steps
    from v_journeys
),

wrong as (
    select
        journeys.journey_id,
        journeys.n_steps,
        coalesce(counted.n_steps, 0) as n_found
    from journeys
    left join journey_steps as counted
        on
            journeys.customer_key = counted.customer_key
            and journeys.journey_id = counted.journey_id
    where journeys.n_steps != coalesce(counted.n_steps, 0)
)

select * from wrong
