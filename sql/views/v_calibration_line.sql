-- purpose: the straight line of bad ends on predicted chances; 0 and 1 if F were that chance
-- grain: journey type and month; null month: all months
-- key: journey_type, ended_month
-- sources: v_scored_ends, v_validity_tests
create or replace view v_calibration_line as
with ends as (
    select
        journey_type,
        ended_month,
        customer_key,
        predicted,
        is_bad_end::int as bad_end
    from v_scored_ends
    where is_bad_end is not null
),

cohorts as (
    select * from ends
    union all
    select * replace (null::date as ended_month) from ends
),

-- Least squares and not a logistic line: without friction the chance is 0 and has no logit.
lines as (
    select
        journey_type,
        ended_month,
        count(*) as n_journeys,
        sum(bad_end)::bigint as n_bad_ends,
        avg(predicted) as predicted_mean,
        regr_sxx(bad_end, predicted) as spread,
        case when regr_sxx(bad_end, predicted) > 1e-9 then regr_slope(bad_end, predicted) end
            as slope,
        case when regr_sxx(bad_end, predicted) > 1e-9 then regr_intercept(bad_end, predicted) end
            as intercept
    from cohorts
    group by journey_type, ended_month
),

pulls as (
    select
        cohorts.journey_type,
        cohorts.ended_month,
        cohorts.customer_key,
        cohorts.bad_end - lines.intercept - lines.slope * cohorts.predicted as rest,
        (cohorts.predicted - lines.predicted_mean) * rest / lines.spread as slope_pull,
        rest / lines.n_journeys - lines.predicted_mean * slope_pull as intercept_pull
    from cohorts
    inner join lines
        on
            cohorts.journey_type = lines.journey_type
            and cohorts.ended_month is not distinct from lines.ended_month
),

customers as (
    select
        journey_type,
        ended_month,
        customer_key,
        sum(slope_pull) as slope_pull,
        sum(intercept_pull) as intercept_pull
    from pulls
    group by journey_type, ended_month, customer_key
),

-- Sandwich variance, summed by customer.
errors as (
    select
        journey_type,
        ended_month,
        sqrt(sum(slope_pull * slope_pull) * share_of(count(*), count(*) - 1)) as slope_error,
        sqrt(sum(intercept_pull * intercept_pull) * share_of(count(*), count(*) - 1))
            as intercept_error
    from customers
    group by journey_type, ended_month
),

tests as (
    select * from v_validity_tests
    where test = 'bad_end'
),

bounded as (
    select
        lines.journey_type,
        lines.ended_month,
        lines.n_journeys,
        lines.n_bad_ends,
        is_two_sided(lines.n_bad_ends, lines.n_journeys - lines.n_bad_ends) as is_enough,
        lines.predicted_mean,
        share_of(lines.n_bad_ends, lines.n_journeys) as bad_end_share,
        wilson_lo(lines.n_bad_ends, lines.n_journeys) as bad_end_share_lo,
        wilson_hi(lines.n_bad_ends, lines.n_journeys) as bad_end_share_hi,
        case when is_enough then lines.intercept end as calibration_intercept,
        case when is_enough then lines.intercept - 1.959963984540054 * errors.intercept_error end
            as calibration_intercept_lo,
        case when is_enough then lines.intercept + 1.959963984540054 * errors.intercept_error end
            as calibration_intercept_hi,
        case when is_enough then lines.slope end as calibration_slope,
        case when is_enough then lines.slope - 1.959963984540054 * errors.slope_error end
            as calibration_slope_lo,
        case when is_enough then lines.slope + 1.959963984540054 * errors.slope_error end
            as calibration_slope_hi,
        tests.left_out
    from lines
    cross join tests
    left join errors
        on
            lines.journey_type = errors.journey_type
            and lines.ended_month is not distinct from errors.ended_month
)

select * from bounded;

comment on column v_calibration_line.ended_month is
'First day of the month in which they ended; null: all months together.';
comment on column v_calibration_line.n_journeys is
'Closed journeys with a score and an outcome.';
comment on column v_calibration_line.n_bad_ends is 'Of these, with an outcome below one half.';
comment on column v_calibration_line.is_enough is 'At least ten bad ends and ten others.';
comment on column v_calibration_line.predicted_mean is 'Mean predicted chance of a bad end.';
comment on column v_calibration_line.bad_end_share is
'Share of bad ends seen; null: none counted.';
comment on column v_calibration_line.calibration_intercept is
'Share of bad ends that the line gives journeys without friction; null: too few, or all alike.';
comment on column v_calibration_line.calibration_intercept_lo is
'Lower end of its 95 % interval (sandwich by customer).';
comment on column v_calibration_line.calibration_slope is
'Bad ends per unit of predicted chance: 1 if F / 100 were it; null: too few, or all alike.';
