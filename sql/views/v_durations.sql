-- purpose: medians and ninetieths of times that censor what is not over
-- grain: scope, its values, measure
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

comment on view v_durations is
'One row per scope and measure: when half and nine tenths of the journeys are over (Kaplan-Meier).';
comment on column v_durations.scope is
'all, journey_type, journey_type_owner, or journey_type_month (start cohorts).';
comment on column v_durations.journey_type is 'Journey type; null: all, or unknown.';
comment on column v_durations.owner is 'Owner of the journeys; null: all, or unknown.';
comment on column v_durations.started_month is
'First day of the month in which they started; null: all.';
comment on column v_durations.measure is 'throughput_s, or time_to_resolution_s.';
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
