-- purpose: the shares of a journey's friction add up to one
-- severity: critical
-- table: friction_evidence
-- sources: journey_evidence
with summed as (
    select
        journey_id,
        share_sum
    from journey_evidence
),

wrong as (
    select * from summed
    where abs(share_sum - 1) > 1e-9
)

select * from wrong
