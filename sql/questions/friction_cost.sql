-- purpose: hazard and measured minutes of customers, by kind and owner; money needs cost rates
-- question: What does friction cost the customer, by cause and owner?
-- grain: kind, owner
-- key: kind, owner
-- sources: v_friction_evidence
with evidence as (
    select * from v_friction_evidence
),

summed as (
    select
        kind,
        owner,
        count(*) as n_evidence,
        sum(hazard) as hazard,
        count(minutes_customer) as n_measured,
        sum(minutes_customer) as minutes_customer
    from evidence
    group by kind, owner
),

shared as (
    select
        *,
        share_of(n_measured, n_evidence) as measured_share,
        share_of(hazard, sum(hazard) over ()) as hazard_share
    from summed
)

select * from shared
order by minutes_customer desc nulls last, hazard desc, kind asc, owner asc
