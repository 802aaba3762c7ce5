-- purpose: no step ends before it starts
-- severity: critical
-- table: steps
-- sources: v_steps
with steps as (
    select
        step_id,
        started_at,
        ended_at
    from v_steps
),

wrong as (
    select * from steps
    where ended_at < started_at
)

select * from wrong
