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
        valid_from,
        valid_to
    from owned_products
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
        count(distinct owned_products.customer_key) as n_owning
    from owned_products
    where owned_products.customer_key in (select journeys.customer_key from journeys)
    group by owned_products.product_id
),

-- Somebody may have owned it more than once: any spell that holds then counts, the end excluded.
spells as (
    select
        journeys.journey_type,
        journeys.customer_key,
        owned_products.product_id,
        bool_or(
            owned_products.valid_from <= journeys.first_at
            and coalesce(journeys.first_at < owned_products.valid_to, true)
        ) as is_owned_then,
        bool_or(owned_products.valid_from > journeys.first_at) as is_begun_after
    from journeys
    inner join owned_products on journeys.customer_key = owned_products.customer_key
    group by journeys.journey_type, journeys.customer_key, owned_products.product_id
),

met as (
    select
        journey_type,
        product_id,
        count(*) filter (is_owned_then) as n_owning_before,
        count(*) filter (not is_owned_then and is_begun_after) as n_bought_after,
        count(*) filter (not is_owned_then and not is_begun_after) as n_given_up_before,
        count(*) as n_coming_owning
    from spells
    group by journey_type, product_id
),

cells as (
    select
        met.journey_type,
        met.product_id,
        coming.n_coming,
        met.n_owning_before,
        met.n_bought_after,
        met.n_given_up_before,
        met.n_coming_owning,
        people.n_people - coming.n_coming as n_others,
        owning.n_owning - met.n_coming_owning as n_others_owning
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
        n_given_up_before,
        share_of(n_coming_owning, n_coming) as owning_share,
        wilson_lo(n_coming_owning, n_coming) as owning_share_lo,
        wilson_hi(n_coming_owning, n_coming) as owning_share_hi,
        n_others,
        n_others_owning,
        share_of(n_others_owning, n_others) as others_owning_share,
        wilson_lo(n_others_owning, n_others) as others_owning_share_lo,
        wilson_hi(n_others_owning, n_others) as others_owning_share_hi,
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
comment on column v_addons.n_bought_after is
'Of these, who did not, and came to own it afterwards, for the first time or again.';
comment on column v_addons.n_given_up_before is
'Of these, who had owned it only earlier: no longer as their first one began, nor again.';
comment on column v_addons.owning_share is
'Who ever owned it (the three together) over n_coming, as the others are counted.';
comment on column v_addons.owning_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_addons.owning_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_addons.n_others is 'Customers with journeys, but none of this type.';
comment on column v_addons.n_others_owning is 'Of these, who ever owned it.';
comment on column v_addons.others_owning_share is 'n_others_owning over n_others.';
comment on column v_addons.others_owning_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_addons.others_owning_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_addons.odds_ratio is
'Odds of ever owning it among those who came over those of the others (+ 1/2 where a cell is 0).';
comment on column v_addons.odds_ratio_lo is 'Lower bound of its interval at 95 % (Woolf).';
comment on column v_addons.odds_ratio_hi is 'Upper bound of its interval at 95 % (Woolf).';
