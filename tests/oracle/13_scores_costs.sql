-- purpose: minutes and money of each piece of friction: measured where logged, else from the rates
--          that hold when it happens
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: scored, stepped, cost_rates
create or replace table rate_held as from spans('cost_rates', kind);

create or replace table costed as
with
kinds as (
    -- a piece of these kinds is work done again, which the event that proves it measures
    select unnest([
        'reasked_info', 'repeat_contact', 'channel_fallback', 'reopened', 'rework', 'transfer'
    ]) as kind
),

pieces as (
    select
        scored.*,
        scored.kind in (select kinds.kind from kinds) as is_work,
        row_number() over () as piece_no
    from scored
    where scored.factor = 1
),

-- a rate of the kind itself goes before the default
rates as (
    select
        p.piece_no,
        if(r.kind is null, d, r) as rate
    from pieces as p
    left join rate_held as r
        on p.kind = r.kind and p.occurred_t >= r.begin_t and p.occurred_t < r.end_t
    left join rate_held as d
        on d.kind = 'default' and p.occurred_t >= d.begin_t and p.occurred_t < d.end_t
),

-- steps that one event's work belongs to
shared as (
    select
        proof_place,
        count(distinct step) as n
    from pieces
    where is_work
    group by proof_place
),

rated as (
    select
        p.*,
        (select count(*) from cost_rates) > 0 as has_rates,
        p.waited_s / 60 as waited_minutes,
        case
            when p.is_work
                then
                    coalesce(
                        e.agent_s,
                        case
                            when e.talk_s is not null
                                then e.talk_s + coalesce(e.hold_s, 0) + coalesce(e.wrap_s, 0)
                        end
                    )
                    / n.n / 60
        end as worked_minutes,
        r.rate.minutes_customer as usual_customer,
        r.rate.minutes_company as usual_company,
        r.rate.rate_customer,
        r.rate.rate_company,
        r.rate.currency as rate_currency
    from pieces as p
    inner join rates as r on p.piece_no = r.piece_no
    left join shared as n on p.proof_place = n.proof_place
    left join stepped as e on p.proof_place = e.place
),

known as (
    select
        *,
        coalesce(waited_minutes, usual_customer) as some_customer,
        if(has_rates, coalesce(worked_minutes, usual_company), null) as some_company
    from rated
),

timed as (
    -- an incident's minutes count once: the most measured ones, else the most assumed ones
    select
        *,
        if(
            row_number() over (
                partition by step, some_customer is null
                order by waited_minutes is null asc, some_customer desc, kind_rank asc
            ) = 1 or some_customer is null,
            some_customer,
            0
        ) as minutes_customer,
        if(
            row_number() over (
                partition by step, some_company is null
                order by worked_minutes is null asc, some_company desc, kind_rank asc
            ) = 1 or some_company is null,
            some_company,
            0
        ) as minutes_company
    from known
),

priced as (
    select
        *,
        coalesce(
            minutes_customer * rate_customer + minutes_company * rate_company,
            minutes_customer * rate_customer,
            minutes_company * rate_company
        ) as cost
    from timed
)

select
    * exclude (
        some_customer, some_company, usual_customer, usual_company,
        rate_customer, rate_company, rate_currency
    ),
    case
        when waited_minutes is not null then 'measured'
        when minutes_customer is not null then 'assumed'
    end as minutes_customer_basis,
    case
        when minutes_company is null then null
        when worked_minutes is not null then 'measured'
        else 'assumed'
    end as minutes_company_basis,
    case
        when cost is not null
            then
                minutes_customer * rate_customer is not null
                and minutes_company * rate_company is not null
    end as is_cost_whole,
    case when cost is not null then rate_currency end as currency
from priced;

create or replace table journey_cost as
select
    j.j,
    case
        when count(c.minutes_customer) > 0 then sum(c.minutes_customer)
        when has_zero then 0
    end as friction_minutes_customer,
    case
        when count(c.minutes_company) > 0 then sum(c.minutes_company)
        when has_zero then 0
    end as friction_minutes_company,
    sum(
        if(c.minutes_customer_basis = 'measured', c.minutes_customer, 0)
        + if(c.minutes_company_basis = 'measured', c.minutes_company, 0)
    ) / nullif(
        sum(coalesce(c.minutes_customer, 0) + coalesce(c.minutes_company, 0)), 0
    ) as friction_minutes_measured_share,
    (count(c.minutes_customer) + count(c.minutes_company))
    / nullif(2 * count(c.j), 0) as friction_minutes_known_share,
    case
        when (select count(*) from cost_rates) > 0
            then
                (count(c.cost) + count(*) filter (c.is_cost_whole))
                / nullif(2 * count(c.j), 0)
    end as friction_cost_known_share,
    case
        when count(distinct c.currency) > 1 then null
        when count(c.cost) > 0 then sum(c.cost)
        when has_zero then 0
    end as friction_cost,
    case
        when count(distinct c.currency) = 1 then max(c.currency)
    end as friction_currency
from (
    select
        s.j,
        s.n_evidence = 0 and s.friction_hazard is not null
        and (select count(*) from cost_rates) > 0 as has_zero
    from score as s
) as j
left join costed as c on j.j = c.j
group by j.j, has_zero;

create or replace table journey_logged as
select
    j,
    case
        when
            count(distinct currency) filter (where cost_amount is not null) = 1
            and count(*) filter (where cost_amount is not null and currency is null) = 0
            then sum(cost_amount)::double
    end as logged_cost,
    case
        when
            count(distinct currency) filter (where cost_amount is not null) = 1
            and count(*) filter (where cost_amount is not null and currency is null) = 0
            then max(currency) filter (where cost_amount is not null)
    end as logged_currency
from stepped
group by j;
