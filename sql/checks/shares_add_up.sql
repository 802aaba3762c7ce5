-- purpose: the shares of a journey's friction add up to one
-- severity: critical
-- table: friction_evidence
-- sources: v_friction_evidence
with evidence as (
    select
        journey_id,
        share
    from v_friction_evidence
),

summed as (
    select
        journey_id,
        sum(share) as share_sum
    from evidence
    group by journey_id
    having abs(sum(share) - 1) > 1e-9
)

select * from summed
