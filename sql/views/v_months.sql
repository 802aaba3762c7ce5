-- purpose: the trend of each journey type, by the month in which journeys ended
-- grain: journey type and month
-- key: journey_type, ended_month
-- sources: v_journeys
create or replace view v_months as
with journeys as (
    select
        journey_type,
        date_trunc('month', ended_at)::date as ended_month,
        friction_score,
        health_ops,
        outcome01
    from v_journeys
    where state = 'closed'
),

counted as (
    select
        journey_type,
        ended_month,
        count(*) as n_journeys,
        count(friction_score) as n_scored,
        avg(friction_score) as friction_mean,
        count(health_ops) as n_health,
        median(health_ops) as health_ops_median,
        count(outcome01) as n_outcome_known,
        count(*) filter (outcome01 = 1) as n_resolved
    from journeys
    group by journey_type, ended_month
),

rated as (
    select
        *,
        share_of(n_resolved, n_outcome_known) as resolved_share,
        wilson_lo(n_resolved, n_outcome_known) as resolved_share_lo,
        wilson_hi(n_resolved, n_outcome_known) as resolved_share_hi
    from counted
)

select * from rated;

comment on view v_months is
'One row per journey type and month of the last event (UTC), closed journeys only.';
comment on column v_months.journey_type is 'Type of the journeys.';
comment on column v_months.ended_month is 'First day of the month in which they ended.';
comment on column v_months.n_journeys is 'Closed journeys.';
comment on column v_months.n_scored is 'With a friction score.';
comment on column v_months.friction_mean is 'Mean friction score [points of 100].';
comment on column v_months.n_health is 'With an operational health.';
comment on column v_months.health_ops_median is 'Median operational health [points of 100].';
comment on column v_months.n_outcome_known is 'With a mapped outcome.';
comment on column v_months.n_resolved is 'Resolved and held.';
comment on column v_months.resolved_share is
'Share resolved among those with an outcome; null: none counted.';
comment on column v_months.resolved_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_months.resolved_share_hi is 'Upper end of its 95 % Wilson interval.';
