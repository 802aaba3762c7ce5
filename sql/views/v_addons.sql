-- purpose: what those who came with a problem own: from before it, or bought after it (association)
-- grain: journey type and owned product
-- key: journey_type, product_id
-- sources: v_journeys, owned_products
create or replace view v_addons as
with journeys as (
    select
        customer_key,
        journey_type,
        min(started_at) as first_at
    from v_journeys
    group by customer_key, journey_type
),

owned_products as (
    select
        customer_key,
        product_id,
        min(valid_from) as owned_from
    from owned_products
    group by customer_key, product_id
),

people as (
    select count(distinct customer_key) as n_people
    from journeys
),

coming as (
    select
        journey_type,
        count(*) as n_coming
    from journeys
    group by journey_type
),

owning as (
    select
        owned_products.product_id,
        count(*) as n_owning
    from owned_products
    where owned_products.customer_key in (select journeys.customer_key from journeys)
    group by owned_products.product_id
),

met as (
    select
        journeys.journey_type,
        owned_products.product_id,
        count(*) filter (
            where owned_products.owned_from <= journeys.first_at
        ) as n_owning_before,
        count(*) filter (
            where owned_products.owned_from > journeys.first_at
        ) as n_bought_after
    from journeys
    inner join owned_products on journeys.customer_key = owned_products.customer_key
    group by journeys.journey_type, owned_products.product_id
),

cells as (
    select
        met.journey_type,
        met.product_id,
        coming.n_coming,
        met.n_owning_before,
        met.n_bought_after,
        people.n_people - coming.n_coming as n_others,
        owning.n_owning - met.n_owning_before - met.n_bought_after as n_others_owning,
        met.n_owning_before + met.n_bought_after as n_coming_owning
    from met
    inner join coming on met.journey_type = coming.journey_type
    inner join owning on met.product_id = owning.product_id
    cross join people
),

corrected as (
    select
        *,
        -- + 1/2 where a cell is 0 (Haldane, Anscombe), so that the ratio stays finite
        case
            when least(
                n_coming_owning, n_coming - n_coming_owning, n_others_owning,
                n_others - n_others_owning
            ) = 0 then 0.5
            else 0
        end as plus
    from cells
),

ratios as (
    select
        *,
        (n_coming_owning + plus) * (n_others - n_others_owning + plus)
        / ((n_coming - n_coming_owning + plus) * (n_others_owning + plus)) as odds_ratio,
        1.959963984540054 * sqrt(
            1 / (n_coming_owning + plus) + 1 / (n_others - n_others_owning + plus)
            + 1 / (n_coming - n_coming_owning + plus) + 1 / (n_others_owning + plus)
        ) as half_width
    from corrected
),

addons as (
    select
        journey_type,
        product_id,
        n_coming,
        n_owning_before,
        n_bought_after,
        share_of(n_coming_owning, n_coming) as owning_share,
        n_others,
        n_others_owning,
        share_of(n_others_owning, n_others) as others_owning_share,
        case when n_others > 0 then odds_ratio end as odds_ratio,
        case when n_others > 0 then odds_ratio * exp(-half_width) end as odds_ratio_lo,
        case when n_others > 0 then odds_ratio * exp(half_width) end as odds_ratio_hi
    from ratios
)

select * from addons;

comment on view v_addons is
'One row per journey type and product that somebody with such a journey owns (association).';
comment on column v_addons.journey_type is 'Type of journey, such as a kind of problem.';
comment on column v_addons.product_id is 'Product owned.';
comment on column v_addons.n_coming is 'Customers with a journey of this type.';
comment on column v_addons.n_owning_before is 'Of these, who owned it as their first one began.';
comment on column v_addons.n_bought_after is 'Of these, who came to own it afterwards.';
comment on column v_addons.owning_share is 'Both over n_coming.';
comment on column v_addons.n_others is 'Customers with journeys, but none of this type.';
comment on column v_addons.n_others_owning is 'Of these, who ever owned it.';
comment on column v_addons.others_owning_share is 'n_others_owning over n_others.';
comment on column v_addons.odds_ratio is
'Odds of owning it among those who came over the odds among the others (+ 1/2 where a cell is 0).';
comment on column v_addons.odds_ratio_lo is 'Lower bound of its interval at 95 % (Woolf).';
comment on column v_addons.odds_ratio_hi is 'Upper bound of its interval at 95 % (Woolf).';
