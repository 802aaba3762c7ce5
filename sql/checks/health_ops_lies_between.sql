-- purpose: operational health lies between its worst floored component and its best
-- severity: critical
-- table: journeys
-- sources: v_journeys
-- needs: journeys.health_ops, journeys.outcome01, journeys.delivery01
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
    select * from journeys
    where
        outcome_floored is null
        or delivery_floored is null
        or health_ops < least(outcome_floored, delivery_floored) - 1e-9
        or health_ops > greatest(outcome_floored, delivery_floored) + 1e-9
)

select * from wrong
