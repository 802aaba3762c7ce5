-- purpose: health lies between its worst floored component and their weighted mean
-- severity: critical
-- table: journey_experience
-- sources: v_journey_experience
with journeys as (
    select
        journey_id,
        health,
        0.25 * experience01 + 0.40 * delivery01 + coalesce(0.35 * outcome01, 0) as weighted,
        if(outcome01 is null, 0.65, 1.0) as weights,
        least(experience01, delivery01, coalesce(outcome01, 1)) as worst
    from v_journey_experience
    where health is not null
),

wrong as (
    select * from journeys
    where
        health < 100 * greatest(worst, 0.1) - 1e-6
        -- the floor of .10 may lift a component, and so the mean, by .10
        or health > 100 * (weighted / weights + 0.1) + 1e-6
)

select * from wrong
