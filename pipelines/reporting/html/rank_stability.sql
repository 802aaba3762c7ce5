-- purpose: how many of the worst journeys stay among the worst at half and at 1.5 of all weights
-- grain:   one row
-- sources: v_ranked_journeys
with

scored as (
    from v_ranked_journeys
    where health_ops is not null and (friction_score > 0 or outcome01 < 1)
),

-- Of equal health, as at the floor, the one with more friction is worse, as in the list.
ranked as (
    select
        row_number()
            over (order by health_ops asc, friction_score desc, journey_id asc)
            as published,
        row_number()
            over (order by health_ops_lo asc, friction_score desc, journey_id asc)
            as at_lo,
        row_number() over (order by health_ops_hi asc, friction_score desc, journey_id asc) as at_hi
    from scored
),

stability as (
    select
        count(*) filter (published <= 10) as n_worst,
        count(*) filter (published <= 10 and at_lo <= 10) as n_at_lo,
        count(*) filter (published <= 10 and at_hi <= 10) as n_at_hi
    from ranked
)

select * from stability
