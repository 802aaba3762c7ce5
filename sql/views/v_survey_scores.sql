-- purpose: NPS, CSAT and the three conventions of CES, each under its own name with its interval
-- grain: scope, value of the scope, level, measure
-- note: Answers of customers (of employees for enps).
-- key: scope, scope_value, level, measure
-- sources: v_experience, v_publication
create or replace view v_survey_scores as
with answers as (
    select
        instrument,
        level,
        journey_type,
        touchpoint,
        owner,
        date_trunc('month', occurred_at)::date::varchar as answered_month,
        scale_min,
        scale_max,
        score01 is null as is_outside,
        -- the answer on its own scale, turned where less is better
        round(scale_min + score01 * (scale_max - scale_min), 9) as points
    from v_experience
    where
        raw_score is not null
        and instrument in ('nps', 'enps', 'csat', 'ces', 'effort')
        and respondent_type = case when instrument = 'enps' then 'employee' else 'customer' end
),

csat as (
    select
        csat_scale_min,
        csat_scale_max,
        csat_satisfied_from
    from v_publication
),

judged as (
    select
        answers.*,
        not is_outside and case instrument
            when 'csat' then scale_min = csat.csat_scale_min and scale_max = csat.csat_scale_max
            when 'effort' then scale_min = 1 and scale_max = 5
            when 'ces' then scale_min = 1 and scale_max = 7
            else scale_max = 10 and scale_min in (0, 1)
        end as is_on_scale,
        case instrument
            when 'csat' then points >= csat.csat_satisfied_from
            when 'ces' then points >= 5
            when 'effort' then points >= 4
            else points >= 9
        end as is_high,
        -- an answer between two marks has not reached the upper one: 6.5 is a detractor's
        points < case instrument when 'ces' then 4 else 7 end as is_low
    from answers
    cross join csat
),

counted as (
    select
        case
            when grouping(journey_type) = 0 then 'journey_type'
            when grouping(touchpoint) = 0 then 'touchpoint'
            when grouping(owner) = 0 then 'owner'
            when grouping(answered_month) = 0 then 'month'
            else 'all'
        end as scope,
        coalesce(journey_type, touchpoint, owner, answered_month) as scope_value,
        instrument,
        level,
        count(*) filter (is_on_scale) as n,
        count(*) filter (not is_on_scale and not is_outside) as n_off_scale,
        count(*) filter (is_outside) as n_outside,
        count(*) filter (is_on_scale and is_high) as n_high,
        count(*) filter (is_on_scale and is_low) as n_low,
        avg(points) filter (is_on_scale) as points_mean,
        stddev_samp(points) filter (is_on_scale) as points_deviation
    from judged
    group by grouping sets (
        (instrument, level),
        (instrument, level, journey_type),
        (instrument, level, touchpoint),
        (instrument, level, owner),
        (instrument, level, answered_month)
    )
),

nets as (
    select
        scope,
        scope_value,
        level,
        case when instrument = 'ces' then 'ces_net' else instrument end as measure,
        n,
        n_off_scale,
        n_outside,
        n_high,
        n_low,
        net_of(n_high, n_low, n) as value,
        net_variance(n_high, n_low, n) as variance,
        net_lo(n_high, n_low, n) as value_lo,
        net_hi(n_high, n_low, n) as value_hi
    from counted
    where instrument in ('nps', 'enps', 'ces')
),

shares as (
    select
        scope,
        scope_value,
        level,
        case when instrument = 'ces' then 'ces_share5' else instrument end as measure,
        n,
        n_off_scale,
        n_outside,
        n_high,
        null::bigint as n_low,
        share_of(n_high, n) as value,
        value * (1 - value) / n as variance,
        wilson_lo(n_high, n) as value_lo,
        wilson_hi(n_high, n) as value_hi
    from counted
    where instrument in ('csat', 'ces')
),

means as (
    select
        scope,
        scope_value,
        level,
        case when instrument = 'ces' then 'ces_mean' else 'ces1_mean' end as measure,
        n,
        n_off_scale,
        n_outside,
        null::bigint as n_high,
        null::bigint as n_low,
        points_mean as value,
        pow(points_deviation, 2) / n as variance,
        value - mean_half(points_deviation, n) as value_lo,
        value + mean_half(points_deviation, n) as value_hi
    from counted
    where instrument in ('ces', 'effort')
),

scores as (
    select * from nets
    union all
    select * from shares
    union all
    select * from means
)

select * from scores;

comment on column v_survey_scores.scope is 'all, journey_type, touchpoint, owner, month (UTC).';
comment on column v_survey_scores.scope_value is 'Which one; null: all, or unknown.';
comment on column v_survey_scores.level is
'What was judged: touchpoint, journey, relationship, product; never mixed.';
comment on column v_survey_scores.measure is
'nps, enps: 100 x (share from 9 on - share below 7), so that 6.5 is low and 8.5 neither.
csat: share of 4 and 5 on 1 to 5, or as [surveys] says.
ces_share5: share from 5 on, ces_mean: mean, ces_net: 100 x (share from 5 on - share below 4), all
on 1 to 7. ces1_mean: mean effort of CES 1, turned: 1 hardest, 5 easiest.';
comment on column v_survey_scores.n is 'Answers on the scale of the measure.';
comment on column v_survey_scores.n_off_scale is
'Answers of the instrument on another scale: left out, since rescaling is not equating.';
comment on column v_survey_scores.n_outside is
'Answers outside the scale that they are said to be on: refused, in no score.';
comment on column v_survey_scores.n_high is 'Promoters, satisfied, or from 5 on; null of a mean.';
comment on column v_survey_scores.n_low is
'Detractors, or below 4; null where it counts for nothing.';
comment on column v_survey_scores.value is 'The score; null: no answer on its scale.';
comment on column v_survey_scores.variance is 'Variance of the score.';
comment on column v_survey_scores.value_lo is
'Lower end of its 95 % interval: Wilson of a share, else normal; null where all answered alike.';
