-- purpose: the journey type that the map shows: the biggest that has a name
-- grain:   one row, none in an empty store
-- sources: v_journeys
with

journeys as (
    from v_journeys
),

biggest as (
    select
        coalesce(journey_type, 'other') as journey_type,
        count(*) as n_journeys
    from journeys
    group by coalesce(journey_type, 'other')
    order by
        coalesce(journey_type, 'other') = 'other' asc,
        n_journeys desc,
        coalesce(journey_type, 'other') asc
    limit 1
)

select * from biggest
