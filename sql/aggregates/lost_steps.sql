-- purpose: steps that evidence or feedback names and that are not there
-- grain: named step and what names it
-- key: customer_key, journey_id, step_id, named_by
-- sources: v_friction_evidence, v_experience, v_steps
with named as (
    select
        customer_key,
        journey_id,
        step_id,
        'evidence' as named_by
    from v_friction_evidence
    union
    -- the earlier step of an edge may be in another journey
    select
        customer_key,
        null as journey_id,
        prev_step_id as step_id,
        'evidence' as named_by
    from v_friction_evidence
    where prev_step_id is not null
    union
    select
        customer_key,
        journey_id,
        step_id,
        'feedback' as named_by
    from v_experience
    where step_id is not null
),

lost as (
    select
        named.customer_key,
        named.journey_id,
        named.step_id,
        named.named_by
    from named
    anti join v_steps as steps
        on
            named.customer_key = steps.customer_key
            and named.step_id = steps.step_id
            and coalesce(named.journey_id, steps.journey_id) = steps.journey_id
)

select * from lost
