-- purpose: how long journeys last and go unresolved: product-limit curves (Kaplan-Meier)
-- grain: scope, its values, measure, time
-- key: scope, journey_type, owner, started_month, measure, time_s
-- sources: v_journey_times
create or replace view v_survival as
with times as (
    select
        journey_type,
        owner,
        started_month,
        'throughput_s' as measure,
        throughput_s as time_s,
        is_throughput_seen as is_seen
    from v_journey_times
    union all
    select
        journey_type,
        owner,
        started_month,
        'time_to_resolution_s' as measure,
        resolution_s as time_s,
        is_resolution_seen as is_seen
    from v_journey_times
),

counted as (
    select
        case
            when grouping(started_month) = 0 then 'journey_type_month'
            when grouping(owner) = 0 then 'journey_type_owner'
            when grouping(journey_type) = 0 then 'journey_type'
            else 'all'
        end as scope,
        journey_type,
        owner,
        started_month,
        measure,
        time_s,
        count(*) filter (is_seen) as n_seen,
        count(*) filter (not is_seen) as n_censored
    from times
    where time_s is not null
    group by grouping sets (
        (measure, time_s),
        (journey_type, measure, time_s),
        (journey_type, owner, measure, time_s),
        (journey_type, started_month, measure, time_s)
    )
),

-- Who is censored at a time was still at risk then.
exposed as (
    select
        *,
        sum(n_seen + n_censored) over (
            partition by scope, journey_type, owner, started_month, measure
            order by time_s desc
        )::bigint as n_at_risk
    from counted
),

curves as (
    select
        *,
        product(1 - n_seen / n_at_risk::double) over up_to as survival,
        sum(
            case
                when n_at_risk > n_seen
                    then n_seen / (n_at_risk * (n_at_risk - n_seen)::double)
            end
        ) over up_to as greenwood
    from exposed
    window up_to as (
        partition by scope, journey_type, owner, started_month, measure
        order by time_s
    )
),

bounded as (
    select
        * exclude (greenwood),
        survival_lo(survival, greenwood) as survival_lo,
        survival_hi(survival, greenwood) as survival_hi
    from curves
)

select * from bounded;

comment on column v_survival.scope is
'all, journey_type, journey_type_owner, or journey_type_month (start cohorts).';
comment on column v_survival.journey_type is 'Journey type; null: all, or unknown.';
comment on column v_survival.owner is 'Owner of the journeys; null: all, or unknown.';
comment on column v_survival.started_month is
'First day of the month in which they started; null: all.';
comment on column v_survival.measure is
'throughput_s (start to last event; what is open is censored), or time_to_resolution_s (start to the
end that held; what is not resolved is censored). Ends of the last days count for nobody, since they
may be taken back.';
comment on column v_survival.time_s is 'Time since the start [s].';
comment on column v_survival.n_seen is 'Journeys over at that time.';
comment on column v_survival.n_censored is
'Journeys of which it is known only that they last longer.';
comment on column v_survival.n_at_risk is 'Journeys not over, nor censored, before that time.';
comment on column v_survival.survival is 'Share that lasts longer than that time (product-limit).';
comment on column v_survival.survival_lo is
'Lower end of its 95 % interval (Greenwood, log-log); null at 0 and 1.';
