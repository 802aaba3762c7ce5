-- purpose: a piece of evidence hangs on steps that exist, the earlier one maybe in another journey
-- severity: critical
-- table: friction_evidence
-- sources: lost_steps
with named as (
    select
        customer_key,
        journey_id,
        step_id,
        named_by
    from lost_steps
),

lost as (
    select * from named
    where named_by = 'evidence'
)

select * from lost
