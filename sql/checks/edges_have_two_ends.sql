-- purpose: evidence between two steps names both, evidence within a step names one
-- severity: critical
-- table: friction_evidence
-- sources: v_friction_evidence
with evidence as (
    select
        evidence_id,
        kind,
        locus,
        prev_step_id
    from v_friction_evidence
),

wrong as (
    select * from evidence
    where locus = 'node' and prev_step_id is not null
)

select * from wrong
