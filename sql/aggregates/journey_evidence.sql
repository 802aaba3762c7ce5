-- purpose: what the evidence of a journey adds up to
-- grain: journey with evidence
-- key: customer_key, journey_id
-- sources: v_friction_evidence
with evidence as (
    select
        customer_key,
        journey_id,
        hazard,
        share,
        severity
    from v_friction_evidence
),

summed as (
    select
        customer_key,
        journey_id,
        sum(hazard) as hazard_sum,
        sum(share) as share_sum,
        max(severity) as severity_max
    from evidence
    group by customer_key, journey_id
)

select * from summed
