-- purpose: hazard, minutes and money of friction by kind and owner; money needs cost_rates
-- question: What does friction cost, by cause and owner?
-- grain: kind, owner, currency
-- key: kind, owner, currency
-- sources: v_friction_evidence
with evidence as (
    select * from v_friction_evidence
),

summed as (
    select
        kind,
        owner,
        currency,
        count(*) as n_evidence,
        sum(hazard) as hazard,
        count(*) filter (minutes_customer_basis = 'measured' or minutes_company_basis = 'measured')
            as n_measured,
        sum(minutes_customer) as minutes_customer,
        sum(minutes_company) as minutes_company,
        coalesce(sum(minutes_customer) filter (minutes_customer_basis = 'measured'), 0)
        + coalesce(sum(minutes_company) filter (minutes_company_basis = 'measured'), 0)
            as minutes_measured,
        sum(cost) as cost
    from evidence
    group by kind, owner, currency
),

shared as (
    select
        *,
        share_of(
            minutes_measured, coalesce(minutes_customer, 0) + coalesce(minutes_company, 0)
        ) as measured_share,
        share_of(hazard, sum(hazard) over ()) as hazard_share
    from summed
)

select * from shared
order by cost desc nulls last, minutes_customer desc nulls last, hazard desc, kind asc, owner asc
