-- purpose: what friction costs in minutes and money, and how much of that is known
-- grain:   currency (null: without a price)
-- sources: v_friction_cost
with

cost as (
    from v_friction_cost
),

summed as (
    select
        currency,
        sum(cost) as cost,
        sum(n_evidence) as n_evidence,
        sum(n_customer_unknown) as n_customer_unknown,
        sum(n_company_unknown) as n_company_unknown,
        sum(minutes_customer) as minutes_customer,
        sum(minutes_company) as minutes_company,
        sum(coalesce(minutes_customer_measured, 0) + coalesce(minutes_company_measured, 0))
            as minutes_measured
    from cost
    group by currency
    order by cost desc nulls last, currency asc
)

select * from summed
