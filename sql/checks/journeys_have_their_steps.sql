-- purpose: a journey counts the steps that it has
-- severity: critical
-- table: journeys
-- sources: v_journeys, v_steps
with journeys as (
    select
        journey_id,
        n_steps
    from v_journeys
),

counted as (
    select
        journey_id,
        count(*) as n_found
    from v_steps
    group by journey_id
),

wrong as (
    select
        journeys.journey_id,
        journeys.n_steps,
        coalesce(counted.n_found, 0) as n_found
    from journeys
    left join counted on journeys.journey_id = counted.journey_id
    where journeys.n_steps != coalesce(counted.n_found, 0)
)

select * from wrong
