-- purpose: throughput time is busy time and idle time
-- severity: critical
-- table: journeys
-- sources: v_journeys
with journeys as (
    select
        journey_id,
        throughput_s,
        busy_s,
        idle_s
    from v_journeys
),

wrong as (
    select * from journeys
    where abs(throughput_s - busy_s - idle_s) > 1e-6
)

select * from wrong
