-- purpose: a closed journey has a reason, an open one has none
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        state,
        close_reason
    from v_journeys
),

wrong as (
    select * from journeys
    where (state = 'closed') != (close_reason is not null)
)

select * from wrong
