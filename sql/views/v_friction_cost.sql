-- purpose: what friction costs in minutes and money, by cause and place; measured, assumed and
--          unknown told apart
-- grain: kind of friction, locus, owner, receiving owner and currency
-- key: kind, locus, owner, owner_to, currency
-- sources: v_friction_evidence
create or replace view v_friction_cost as
with evidence as (
    select * from v_friction_evidence
),

summed as (
    select
        kind,
        locus,
        owner,
        owner_to,
        currency,
        count(*) as n_evidence,
        count(cost) as n_priced,
        count(*) filter (not is_cost_whole) as n_partly_priced,
        count(*) - count(minutes_customer) as n_customer_unknown,
        count(*) - count(minutes_company) as n_company_unknown,
        count(distinct journey_id) as n_journeys,
        sum(minutes_customer) as minutes_customer,
        sum(minutes_customer) filter (minutes_customer_basis = 'measured')
            as minutes_customer_measured,
        sum(minutes_customer) filter (minutes_customer_basis = 'assumed')
            as minutes_customer_assumed,
        sum(minutes_company) as minutes_company,
        sum(minutes_company) filter (minutes_company_basis = 'measured')
            as minutes_company_measured,
        sum(minutes_company) filter (minutes_company_basis = 'assumed')
            as minutes_company_assumed,
        sum(cost) as cost
    from evidence
    group by kind, locus, owner, owner_to, currency
),

shared as (
    select
        *,
        share_of(
            coalesce(minutes_customer_measured, 0) + coalesce(minutes_company_measured, 0),
            coalesce(minutes_customer, 0) + coalesce(minutes_company, 0)
        ) as measured_share,
        1 - share_of(n_customer_unknown + n_company_unknown, 2 * n_evidence) as known_share,
        share_of(cost, sum(cost) over (partition by currency)) as cost_share
    from summed
)

select * from shared;

comment on column v_friction_cost.currency is 'Currency of the cost; null: not priced.';
comment on column v_friction_cost.n_evidence is 'Pieces of evidence.';
comment on column v_friction_cost.n_priced is 'Pieces with a cost.';
comment on column v_friction_cost.n_partly_priced is
'Those of them whose cost lacks the minutes or the rate of the customer or of the company.';
comment on column v_friction_cost.n_customer_unknown is
'Pieces without minutes of the customer, measured or assumed: they are in no sum.';
comment on column v_friction_cost.n_company_unknown is
'Pieces without minutes of the company, measured or assumed: they are in no sum.';
comment on column v_friction_cost.n_journeys is 'Journeys with such evidence.';
comment on column v_friction_cost.minutes_customer is
'Minutes of customers, measured and assumed; an incident has them once, with its costliest piece, so
that 0 of others means counted there; null: unknown [min].';
comment on column v_friction_cost.minutes_customer_measured is 'Those measured [min].';
comment on column v_friction_cost.minutes_customer_assumed is
'Those assumed from cost_rates [min].';
comment on column v_friction_cost.minutes_company is
'Minutes of the company, measured and assumed; once an incident, as those of customers; null:
unknown [min].';
comment on column v_friction_cost.minutes_company_measured is 'Those measured [min].';
comment on column v_friction_cost.minutes_company_assumed is
'Those assumed from cost_rates [min].';
comment on column v_friction_cost.cost is 'Minutes times rates as far as known, in the currency.';
comment on column v_friction_cost.measured_share is
'Measured share of all known minutes; the rest is assumed.';
comment on column v_friction_cost.known_share is
'Share of the halves, customer and company, of all pieces whose minutes are known.';
comment on column v_friction_cost.cost_share is 'Share of all cost in this currency.';
