-- purpose: how many of the worst journeys stay among the worst at half and at 1.5 of all weights
-- grain:   one row
-- sources: v_journeys
with

scored as (
    from v_journeys
    where health_ops is not null
),

ranked as (
    select
        row_number() over (order by health_ops, journey_id) as published,
        row_number() over (order by health_ops_lo, journey_id) as at_lo,
        row_number() over (order by health_ops_hi, journey_id) as at_hi
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
