-- purpose: does more friction go with bad ends and with coming again? Area under the ROC curve
-- grain: target (bad_end, repeat_contact), journey type and month; null month: all months
-- key: target, journey_type, ended_month
-- sources: v_scored_ends, v_scored_contacts, v_validity_tests
create or replace view v_validity_auc as
with ends as (
    select
        'bad_end' as target,
        journey_type,
        ended_month,
        customer_key,
        hazard_apart as hazard,
        is_bad_end as is_hit
    from v_scored_ends
    where is_bad_end is not null
),

contacts as (
    select
        'repeat_contact' as target,
        journey_type,
        ended_month,
        customer_key,
        hazard,
        is_repeated as is_hit
    from v_scored_contacts
),

told as (
    select * from ends
    union all
    select * from contacts
),

cohorts as (
    select * from told
    union all
    select * replace (null::date as ended_month) from told
),

-- Middle ranks: of equals each has the mean of the ranks they share, in whatever order they lie.
placed as (
    select
        *,
        rank() over (cohort order by hazard asc)
        + (count(*) over (partition by target, journey_type, ended_month, hazard) - 1)
        / 2 as place,
        rank() over (side order by hazard asc)
        + (count(*) over (partition by target, journey_type, ended_month, is_hit, hazard) - 1)
        / 2 as own_place,
        count(*) filter (is_hit) over cohort as n_hits,
        count(*) filter (not is_hit) over cohort as n_others
    from cohorts
    window
        cohort as (partition by target, journey_type, ended_month),
        side as (partition by target, journey_type, ended_month, is_hit)
),

-- Share of the other side that stands on the right side of this one, equals counted half.
compared as (
    select
        *,
        case
            when is_hit then share_of(place - own_place, n_others)
            else 1 - share_of(place - own_place, n_hits)
        end as placement
    from placed
),

areas as (
    select
        *,
        avg(placement) filter (is_hit) over (partition by target, journey_type, ended_month) as area
    from compared
),

-- DeLong's variance, summed by customer (Obuchowski 1997): journeys of one person are no
-- independent witnesses.
customers as (
    select
        target,
        journey_type,
        ended_month,
        customer_key,
        any_value(area) as area,
        min(hazard) as least,
        max(hazard) as most,
        count(*) filter (is_hit) as n_hits,
        count(*) filter (not is_hit) as n_others,
        sum((placement - area) / case when is_hit then n_hits else n_others end) as pull
    from areas
    group by target, journey_type, ended_month, customer_key
),

counted as (
    select
        target,
        journey_type,
        ended_month,
        count(*) as n_customers,
        sum(n_hits)::bigint as n_hits,
        sum(n_others)::bigint as n_others,
        case
            when is_two_sided(sum(n_hits), sum(n_others)) and min(least) < max(most)
                then any_value(area)
        end as area,
        sum(pull * pull) * share_of(count(*), count(*) - 1) as variance
    from customers
    group by target, journey_type, ended_month
),

tests as (
    select * from v_validity_tests
),

bounded as (
    select
        counted.target,
        counted.journey_type,
        counted.ended_month,
        counted.n_customers,
        counted.n_hits,
        counted.n_others,
        counted.area as auc,
        area_lo(counted.area, counted.variance) as auc_lo,
        area_hi(counted.area, counted.variance) as auc_hi,
        tests.left_out
    from counted
    left join tests on counted.target = tests.test
)

select * from bounded;

comment on column v_validity_auc.target is
'bad_end: outcome below one half, by hazard_apart; repeat_contact: repeated, by the first one.';
comment on column v_validity_auc.ended_month is
'First day of the month in which they ended; null: all months together.';
comment on column v_validity_auc.n_customers is 'Customers, by whom the interval is counted.';
comment on column v_validity_auc.n_hits is 'Bad ends, or repeated first contacts.';
comment on column v_validity_auc.n_others is 'The others.';
comment on column v_validity_auc.auc is
'Chance that a hit has more hazard than another, without the kinds left out, 0 to 1; null: below ten
of one, or all alike.';
comment on column v_validity_auc.auc_lo is
'Lower end of its 95 % interval (DeLong by customer, logit scale); null also at 0 and 1.';
