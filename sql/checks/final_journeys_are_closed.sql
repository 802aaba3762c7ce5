-- purpose: a final journey is closed
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        state,
        is_final
    from v_journeys
),

wrong as (
    select * from journeys
    where is_final and state != 'closed'
)

select * from wrong
