-- purpose: a score lies between its bounds at lighter and heavier weights
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        friction_score_lo,
        friction_score,
        friction_score_hi,
        health_ops_lo,
        health_ops,
        health_ops_hi
    from v_journeys
),

wrong as (
    select * from journeys
    where
        friction_score not between friction_score_lo - 1e-9 and friction_score_hi + 1e-9
        or health_ops not between health_ops_lo - 1e-9 and health_ops_hi + 1e-9
)

select * from wrong
