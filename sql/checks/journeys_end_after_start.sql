-- purpose: no journey ends before it starts
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        started_at,
        ended_at
    from v_journeys
),

wrong as (
    select * from journeys
    where ended_at < started_at
)

select * from wrong
