-- purpose: operational health lies between its worst floored component and their weighted mean
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        health_ops,
        100 * greatest(outcome01, 0.1) as outcome_floored,
        100 * greatest(delivery01, 0.1) as delivery_floored
    from v_journeys
    where health_ops is not null
),

wrong as (
    select *
    from journeys
    where
        outcome_floored is null
        or delivery_floored is null
        or health_ops < least(outcome_floored, delivery_floored) - 1e-9
        or health_ops > (0.35 * outcome_floored + 0.40 * delivery_floored) / 0.75 + 1e-9
)

select * from wrong
