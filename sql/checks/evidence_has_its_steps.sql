-- purpose: a piece of evidence hangs on steps that exist, the earlier one maybe in another journey
-- severity: critical
-- table: friction_evidence
-- sources: v_friction_evidence, v_steps
with named as (
    select
        customer_key,
        journey_id,
        step_id
    from v_friction_evidence
    union
    select
        customer_key,
        null as journey_id,
        prev_step_id as step_id
    from v_friction_evidence
    where prev_step_id is not null
),

lost as (
    select
        named.customer_key,
        named.journey_id,
        named.step_id
    from named
    anti join v_steps as steps
        on
            named.customer_key = steps.customer_key
            and named.step_id = steps.step_id
            and coalesce(named.journey_id, steps.journey_id) = steps.journey_id
)

select * from lost
