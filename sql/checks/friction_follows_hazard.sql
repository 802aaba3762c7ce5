-- purpose: the friction score is 100 times one minus e to the minus hazard, below 100
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        friction_hazard,
        friction_score
    from v_journeys
),

wrong as (
    select * from journeys
    where
        friction_score >= 100
        or abs(friction_score - 100 * (1 - exp(-friction_hazard))) > 1e-9
)

select * from wrong
