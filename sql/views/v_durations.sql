-- purpose: medians and ninetieths of times that censor what is not over
-- grain: scope, its values, measure
-- note: Kaplan-Meier.
-- key: scope, journey_type, owner, started_month, measure
-- sources: v_survival
create or replace view v_durations as
with curves as (
    select * from v_survival
),

-- A product of shares misses a half by its last digit.
reached as (
    select
        scope,
        journey_type,
        owner,
        started_month,
        measure,
        sum(n_seen)::bigint as n_seen,
        sum(n_censored)::bigint as n_censored,
        min(time_s) filter (survival <= 0.5 + 1e-12) as median_s,
        min(time_s) filter (survival_lo <= 0.5 + 1e-12) as median_s_lo,
        min(time_s) filter (survival_hi <= 0.5 + 1e-12) as median_s_hi,
        min(time_s) filter (survival <= 0.1 + 1e-12) as p90_s
    from curves
    group by scope, journey_type, owner, started_month, measure
)

select * from reached;

comment on column v_durations.n_seen is 'Journeys that are over.';
comment on column v_durations.n_censored is 'Journeys of which only a least time is known.';
comment on column v_durations.median_s is
'Half are over by then; null: fewer than half are over so far [s].';
comment on column v_durations.median_s_lo is
'Lower end of its 95 % interval (Brookmeyer and Crowley, log-log) [s].';
comment on column v_durations.median_s_hi is
'Upper end of its 95 % interval; null: not reached so far [s].';
comment on column v_durations.p90_s is
'Nine of ten are over by then; null: not reached so far [s].';
