-- purpose: do those who met more friction say so? Rank correlation with answers
-- grain: answer (ces, experience), journey type and month; null month: all months
-- key: answer, journey_type, ended_month
-- sources: v_scored_ends, v_validity_tests
create or replace view v_validity_rank as
with ends as (
    select * from v_scored_ends
),

told as (
    select
        'ces' as answer,
        journey_type,
        ended_month,
        customer_key,
        round(friction_score, 9) as friction_score,
        ces01 as felt01
    from ends
    where ces01 is not null
    union all
    select
        'experience' as answer,
        journey_type,
        ended_month,
        customer_key,
        round(friction_score, 9) as friction_score,
        experience01 as felt01
    from ends
    where experience01 is not null
),

cohorts as (
    select * from told
    union all
    select * replace (null::date as ended_month) from told
),

placed as (
    select
        *,
        rank() over (cohort order by friction_score asc)
        + (count(*) over (partition by answer, journey_type, ended_month, friction_score) - 1)
        / 2 as friction_place,
        rank() over (cohort order by felt01 asc)
        + (count(*) over (partition by answer, journey_type, ended_month, felt01) - 1)
        / 2 as felt_place
    from cohorts
    window cohort as (partition by answer, journey_type, ended_month)
),

counted as (
    select
        answer,
        journey_type,
        ended_month,
        count(*) as n_journeys,
        count(distinct customer_key) as n_customers,
        case
            when
                count(distinct customer_key) >= 10
                and min(friction_place) < max(friction_place)
                and min(felt_place) < max(felt_place)
                then corr(friction_place, felt_place)
        end as spearman
    from placed
    group by answer, journey_type, ended_month
),

tests as (
    select * from v_validity_tests
),

-- Fisher's z with the standard error of Bonett and Wright 2000. Customers are counted, not
-- journeys, which errs to the wide side.
bounded as (
    select
        counted.*,
        case
            when abs(spearman) < 1
                then tanh(
                    atanh(spearman)
                    - 1.959963984540054 * sqrt((1 + spearman * spearman / 2) / (n_customers - 3))
                )
        end as spearman_lo,
        case
            when abs(spearman) < 1
                then tanh(
                    atanh(spearman)
                    + 1.959963984540054 * sqrt((1 + spearman * spearman / 2) / (n_customers - 3))
                )
        end as spearman_hi,
        tests.left_out
    from counted
    left join tests on counted.answer = tests.test
)

select * from bounded;

comment on column v_validity_rank.answer is 'ces: questions on effort; experience: X.';
comment on column v_validity_rank.ended_month is
'First day of the month in which they ended; null: all months together.';
comment on column v_validity_rank.n_journeys is 'Closed journeys with a score and an answer.';
comment on column v_validity_rank.n_customers is 'Their customers.';
comment on column v_validity_rank.spearman is
'Rank correlation of friction with the answer; valid is below 0; null: below ten customers.';
comment on column v_validity_rank.spearman_lo is
'Lower end of its 95 % interval (Bonett and Wright, by customers); null at -1 and 1.';
comment on column v_validity_rank.left_out is
'Kinds of friction that are not in the score here (list): none, for no kind reads an answer.';
