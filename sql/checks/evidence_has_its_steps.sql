-- purpose: a piece of evidence hangs on steps that exist, the earlier one maybe in another journey
-- severity: critical
-- table: friction_evidence
-- sources: v_friction_evidence, v_steps
with evidence as (
    select
        evidence_id,
        journey_id,
        customer_key,
        step_id,
        prev_step_id
    from v_friction_evidence
),

steps as (
    select
        journey_id,
        customer_key,
        step_id
    from v_steps
),

lost as (
    select
        evidence.evidence_id,
        evidence.step_id,
        evidence.prev_step_id
    from evidence
    left join steps as anchor
        on evidence.journey_id = anchor.journey_id and evidence.step_id = anchor.step_id
    left join steps as earlier
        on
            evidence.customer_key = earlier.customer_key
            and evidence.prev_step_id = earlier.step_id
    where
        anchor.step_id is null
        or (evidence.prev_step_id is not null and earlier.step_id is null)
)

select * from lost
