-- purpose: what each rule of alerts was worth: how many fired, were taken up, closed and true
-- grain: rule
-- key: rule
-- note: True are those judged so when they were closed; n_judged says how many were judged.
-- sources: alerts
create or replace view v_alerts as
with timed as (
    select
        rule,
        withdrawn_at,
        acknowledged_at,
        closed_at,
        delivered_at,
        is_true,
        (epoch_us(acknowledged_at) - epoch_us(fired_at)) / 1e6 as acknowledge_s,
        (epoch_us(closed_at) - epoch_us(fired_at)) / 1e6 as close_s
    from alerts
),

counted as (
    select
        rule,
        count(*) as n_fired,
        count(delivered_at) as n_delivered,
        count(withdrawn_at) as n_withdrawn,
        count(acknowledged_at) as n_acknowledged,
        count(closed_at) as n_closed,
        count(is_true) as n_judged,
        count(*) filter (is_true) as n_true,
        median(acknowledge_s) as acknowledge_s_median,
        median(close_s) as close_s_median
    from timed
    group by rule
),

rated as (
    select
        *,
        share_of(n_true, n_judged) as true_share,
        wilson_lo(n_true, n_judged) as true_share_lo,
        wilson_hi(n_true, n_judged) as true_share_hi
    from counted
)

select * from rated;

comment on column v_alerts.n_fired is 'Alerts that fired.';
comment on column v_alerts.n_delivered is 'Of these, some receiver had them.';
comment on column v_alerts.n_withdrawn is 'Of these, no longer so.';
comment on column v_alerts.n_acknowledged is 'Of these, somebody took them up.';
comment on column v_alerts.n_closed is 'Of these, somebody closed the loop.';
comment on column v_alerts.n_judged is 'Of these, judged true or false when they were closed.';
comment on column v_alerts.n_true is 'Of these judged, true.';
comment on column v_alerts.acknowledge_s_median is
'Median from firing until somebody took it up, of those taken up [s].';
comment on column v_alerts.close_s_median is
'Median from firing until the loop was closed, of those closed [s].';
comment on column v_alerts.true_share is 'Share true among those judged; null: none judged.';
