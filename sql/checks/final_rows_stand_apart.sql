-- purpose: final journeys are in one table and those that may change in the other
-- severity: critical
-- table: journeys
-- sources: journeys, journeys_live
with final_rows as (
    select
        journey_id,
        is_final
    from journeys
),

live_rows as (
    select
        journey_id,
        is_final
    from journeys_live
),

wrong as (
    select * from final_rows
    where not is_final
    union all
    select * from live_rows
    where is_final
)

select * from wrong
