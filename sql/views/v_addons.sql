-- purpose: what those who came with a problem own: from before it, or bought after it (association)
-- grain: journey type that is a problem, and owned product; the surest first
-- note: A problem is a journey whose type is declared one (is_problem); where none is, one that
--       ended unsolved, purchases excepted.
-- key: journey_type, product_id
-- sources: owned_products, v_journeys, v_steps, v_type_rules, customers, cases
create or replace view v_addons as
with rules as (
    select * from v_type_rules
),

rest as (
    select
        is_problem,
        (select bool_or(every.is_problem) from rules as every) as is_declared
    from rules
    where journey_type = 'other'
),

sales as (
    select distinct journey_id
    from v_steps
    where outcome = 'sold'
),

-- Where no type is declared a problem: what ended unsolved, unless it was a purchase.
problems as (
    select
        journeys.customer_key,
        journeys.journey_type,
        min(journeys.started_at) as first_at
    from v_journeys as journeys
    cross join rest
    left join rules on journeys.journey_type = rules.journey_type
    left join sales on journeys.journey_id = sales.journey_id
    where
        case
            when rest.is_declared then coalesce(rules.is_problem, rest.is_problem)
            else journeys.outcome01 = 0 and sales.journey_id is null
        end
    group by journeys.customer_key, journeys.journey_type
),

-- All customers of whom anything is known, so of whom it is known what they do not own.
people as (
    select customer_key from v_journeys
    union
    select customer_key from owned_products
    union
    select customer_key from customers
    union
    select customer_key from cases
),

sizes as (
    select count(*) as n_people
    from people
),

-- Those who did not come are looked at when half of those who did had come.
types as (
    select
        journey_type,
        count(*) as n_coming,
        quantile_disc(first_at, 0.5) as usual_at
    from problems
    group by journey_type
),

owners as (
    select
        types.journey_type,
        owned.product_id,
        owned.customer_key,
        owned.valid_from,
        owned.valid_to,
        problems.customer_key is not null as is_coming,
        coalesce(problems.first_at, types.usual_at) as asked_at
    from owned_products as owned
    cross join types
    left join problems
        on
            owned.customer_key = problems.customer_key
            and types.journey_type is not distinct from problems.journey_type
),

-- Somebody may have owned it more than once: any spell that holds then counts, the end excluded.
spells as (
    select
        journey_type,
        product_id,
        customer_key,
        is_coming,
        bool_or(
            valid_from <= asked_at and coalesce(asked_at < valid_to, true)
        ) as is_owned_then,
        bool_or(valid_from > asked_at) as is_begun_after
    from owners
    group by journey_type, product_id, customer_key, is_coming
),

met as (
    select
        journey_type,
        product_id,
        count(*) as n_owning,
        count(*) filter (is_coming) as n_coming_owning,
        count(*) filter (is_owned_then) as n_then,
        count(*) filter (is_coming and is_owned_then) as n_owning_before,
        count(*) filter (not is_owned_then and is_begun_after) as n_after,
        count(*) filter (is_coming and not is_owned_then and is_begun_after) as n_bought_after
    from spells
    group by journey_type, product_id
),

cells as (
    select
        met.*,
        types.n_coming,
        sizes.n_people
    from met
    inner join types on met.journey_type is not distinct from types.journey_type
    cross join sizes
),

-- k of the n who came own it, and r of all m. What was bought after is asked of those who did not
-- own it before.
tables as (
    select
        journey_type,
        product_id,
        unnest(['ever', 'before', 'after']) as timing,
        unnest([n_coming_owning, n_owning_before, n_bought_after]) as k,
        unnest([n_coming, n_coming, n_coming - n_owning_before]) as n,
        unnest([n_owning, n_then, n_after]) as r,
        unnest([n_people, n_people, n_people - n_then]) as m
    from cells
),

-- Fisher: the sum of all tables with these margins that are no likelier than this one.
likely as (
    select
        *,
        unnest(range(greatest(0, n + r - m), least(n, r) + 1)) as other_k
    from tables
    where n > 0 and n < m and r > 0 and r < m
),

exact as (
    select
        journey_type,
        product_id,
        timing,
        odds_of(k, n, r, m) as odds_ratio,
        odds_lo(k, n, r, m) as odds_ratio_lo,
        odds_hi(k, n, r, m) as odds_ratio_hi,
        -- rounding parts tables that are equally likely
        least(1, sum(
            case
                when ln_hypergeometric(other_k, n, r, m) <= ln_hypergeometric(k, n, r, m) + 1e-7
                    then exp(ln_hypergeometric(other_k, n, r, m))
                else 0
            end
        )) as p
    from likely
    group by journey_type, product_id, timing, k, n, r, m
),

ranked as (
    select
        *,
        count(*) over (partition by timing) as n_tests,
        row_number() over (
            partition by timing
            order by p, journey_type, product_id
        ) as place
    from exact
),

-- Benjamini and Hochberg: of all with a q up to .05 some .05 are expected to be chance.
adjusted as (
    select
        *,
        min(least(1, p * n_tests / place)) over (
            partition by timing
            order by place desc
        ) as q
    from ranked
),

spread as (
    select
        journey_type,
        product_id,
        max(odds_ratio) filter (timing = 'ever') as odds_ratio,
        max(odds_ratio_lo) filter (timing = 'ever') as odds_ratio_lo,
        max(odds_ratio_hi) filter (timing = 'ever') as odds_ratio_hi,
        max(p) filter (timing = 'ever') as p,
        max(q) filter (timing = 'ever') as q,
        max(odds_ratio) filter (timing = 'before') as before_odds_ratio,
        max(odds_ratio_lo) filter (timing = 'before') as before_odds_ratio_lo,
        max(odds_ratio_hi) filter (timing = 'before') as before_odds_ratio_hi,
        max(p) filter (timing = 'before') as before_p,
        max(q) filter (timing = 'before') as before_q,
        max(odds_ratio) filter (timing = 'after') as after_odds_ratio,
        max(odds_ratio_lo) filter (timing = 'after') as after_odds_ratio_lo,
        max(odds_ratio_hi) filter (timing = 'after') as after_odds_ratio_hi,
        max(p) filter (timing = 'after') as after_p,
        max(q) filter (timing = 'after') as after_q
    from adjusted
    group by journey_type, product_id
),

counted as (
    select
        *,
        n_coming_owning - n_owning_before - n_bought_after as n_given_up_before,
        n_people - n_coming as n_others,
        n_owning - n_coming_owning as n_others_owning,
        n_then - n_owning_before as n_others_owning_before,
        n_after - n_bought_after as n_others_bought_after
    from cells
),

addons as (
    select
        counted.journey_type,
        counted.product_id,
        counted.n_people,
        counted.n_coming,
        counted.n_owning_before,
        counted.n_bought_after,
        counted.n_given_up_before,
        share_of(counted.n_coming_owning, counted.n_coming) as owning_share,
        wilson_lo(counted.n_coming_owning, counted.n_coming) as owning_share_lo,
        wilson_hi(counted.n_coming_owning, counted.n_coming) as owning_share_hi,
        counted.n_others,
        counted.n_others_owning,
        counted.n_others_owning_before,
        counted.n_others_bought_after,
        share_of(counted.n_others_owning, counted.n_others) as others_owning_share,
        wilson_lo(counted.n_others_owning, counted.n_others) as others_owning_share_lo,
        wilson_hi(counted.n_others_owning, counted.n_others) as others_owning_share_hi,
        spread.* exclude (journey_type, product_id)
    from counted
    left join spread
        on
            counted.journey_type is not distinct from spread.journey_type
            and counted.product_id = spread.product_id
)

select * from addons
order by q asc, p asc, odds_ratio desc, journey_type asc, product_id asc;

comment on column v_addons.journey_type is 'Type of journey: a kind of problem.';
comment on column v_addons.n_people is
'Customers of whom anything is known: journeys, cases, products owned, or a row in customers.';
comment on column v_addons.n_coming is 'Of these, who came with such a problem.';
comment on column v_addons.n_owning_before is 'Of these, who owned it as their first one began.';
comment on column v_addons.n_bought_after is
'Of n_coming, who did not, and came to own it afterwards, for the first time or again.';
comment on column v_addons.n_given_up_before is
'Of n_coming, who had owned it only earlier: no longer as their first one began, nor again.';
comment on column v_addons.owning_share is
'Who ever owned it (the three together) over n_coming, as the others are counted.';
comment on column v_addons.n_others is 'Of n_people, who came with no such problem.';
comment on column v_addons.n_others_owning is 'Of these, who ever owned it.';
comment on column v_addons.n_others_owning_before is
'Of n_others, who owned it when half of those who came had come.';
comment on column v_addons.n_others_bought_after is
'Of n_others, who did not then, and came to own it afterwards.';
comment on column v_addons.others_owning_share is 'n_others_owning over n_others.';
comment on column v_addons.odds_ratio is
'Odds of ever owning it among those who came over those of the others (+ 1/2 where a cell is 0);
null: all came, or all own it.';
comment on column v_addons.odds_ratio_lo is 'Lower bound of its interval at 95 % (Woolf).';
comment on column v_addons.odds_ratio_hi is 'Upper bound of its interval at 95 % (Woolf).';
comment on column v_addons.p is
'Chance of so uneven a table where owning it goes with nothing (Fisher, exact, two-sided).';
comment on column v_addons.q is
'p made good for the many pairs (Benjamini and Hochberg): among rows up to this q, so large a share
is expected to be chance.';
comment on column v_addons.before_odds_ratio is
'The same odds of owning it before: as the first one began, of others at the usual time.';
comment on column v_addons.before_odds_ratio_lo is 'Lower bound of its interval at 95 % (Woolf).';
comment on column v_addons.before_odds_ratio_hi is 'Upper bound of its interval at 95 % (Woolf).';
comment on column v_addons.before_p is 'Its exact p.';
comment on column v_addons.before_q is 'Its p made good for the many pairs.';
comment on column v_addons.after_odds_ratio is
'The same odds of buying it afterwards, among those who did not own it before.';
comment on column v_addons.after_odds_ratio_lo is 'Lower bound of its interval at 95 % (Woolf).';
comment on column v_addons.after_odds_ratio_hi is 'Upper bound of its interval at 95 % (Woolf).';
comment on column v_addons.after_p is 'Its exact p.';
comment on column v_addons.after_q is 'Its p made good for the many pairs.';
