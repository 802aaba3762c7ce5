-- purpose: a hazard is minus the logarithm of what is left of the step, halved by each rank
-- severity: critical
-- table: friction_evidence
-- sources: v_friction_evidence
with evidence as (
    select
        evidence_id,
        hazard,
        pow(0.5, kind_rank) * -ln(1 - severity) as expected_hazard
    from v_friction_evidence
),

wrong as (
    select * from evidence
    where abs(hazard - expected_hazard) > 1e-9
)

select * from wrong
