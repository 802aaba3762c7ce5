-- purpose: the trend of each journey type, by start cohort: the month in which journeys started
-- grain: journey type and month
-- note: Shares and medians of scores are of those old enough to be judged; of the youngest only the
--       quick ones have ended.
-- key: journey_type, started_month
-- sources: v_journeys, v_journey_cohorts, v_ranked_journeys, v_durations
create or replace view v_months as
with journeys as (
    select
        cohorts.*,
        case when cohorts.is_mature then journeys.friction_score end as friction_score,
        case when cohorts.is_mature then ranked.health_ops end as health_ops
    from v_journey_cohorts as cohorts
    inner join v_journeys as journeys on cohorts.journey_id = journeys.journey_id
    left join v_ranked_journeys as ranked on cohorts.journey_id = ranked.journey_id
),

counted as (
    select
        journey_type,
        started_month,
        count(*) as n_journeys,
        count(*) filter (state = 'open') as n_open,
        count(*) filter (not is_mature) as n_too_young,
        count(*) filter (is_mature) as n_mature,
        max(horizon_s) as horizon_s,
        count(friction_score) as n_scored,
        avg(friction_score) as friction_mean,
        count(health_ops) as n_health,
        median(health_ops) as health_ops_median,
        count(*) filter (is_judged) as n_judged,
        count(*) filter (is_resolved_in_time) as n_resolved,
        count(*) filter (is_resolved_late) as n_resolved_late,
        count(*) filter (is_undecided) as n_undecided
    from journeys
    group by journey_type, started_month
),

times as (
    select
        *,
        measure = 'throughput_s' as is_throughput
    from v_durations
    where scope = 'journey_type_month'
),

spread as (
    select
        journey_type,
        started_month,
        max(n_censored) filter (is_throughput) as n_throughput_censored,
        max(median_s) filter (is_throughput) as throughput_s_median,
        max(median_s_lo) filter (is_throughput) as throughput_s_median_lo,
        max(median_s_hi) filter (is_throughput) as throughput_s_median_hi,
        max(n_censored) filter (not is_throughput) as n_resolution_censored,
        max(median_s) filter (not is_throughput) as time_to_resolution_s_median,
        max(median_s_lo) filter (not is_throughput) as time_to_resolution_s_median_lo,
        max(median_s_hi) filter (not is_throughput) as time_to_resolution_s_median_hi
    from times
    group by journey_type, started_month
),

rated as (
    select
        counted.*,
        share_of(counted.n_resolved, counted.n_judged) as resolved_share,
        wilson_lo(counted.n_resolved, counted.n_judged) as resolved_share_lo,
        wilson_hi(counted.n_resolved, counted.n_judged) as resolved_share_hi,
        share_of(counted.n_undecided, counted.n_judged) as undecided_share,
        wilson_lo(counted.n_undecided, counted.n_judged) as undecided_share_lo,
        wilson_hi(counted.n_undecided, counted.n_judged) as undecided_share_hi,
        coalesce(spread.n_throughput_censored, 0) as n_throughput_censored,
        spread.throughput_s_median,
        spread.throughput_s_median_lo,
        spread.throughput_s_median_hi,
        coalesce(spread.n_resolution_censored, 0) as n_resolution_censored,
        spread.time_to_resolution_s_median,
        spread.time_to_resolution_s_median_lo,
        spread.time_to_resolution_s_median_hi
    from counted
    left join spread
        on
            counted.journey_type is not distinct from spread.journey_type
            and counted.started_month = spread.started_month
)

select * from rated;

comment on column v_months.n_journeys is 'Journeys that started in it.';
comment on column v_months.n_open is 'Of these, still open.';
comment on column v_months.n_too_young is 'Of these, too young to be judged: in no share.';
comment on column v_months.n_mature is 'Of these, old enough (v_journey_cohorts).';
comment on column v_months.n_scored is 'Mature ones with a friction score.';
comment on column v_months.friction_mean is 'Mean friction score of those [points of 100].';
comment on column v_months.n_health is
'Mature ones with an operational health that ranks (v_ranked_journeys).';
comment on column v_months.health_ops_median is
'Median operational health of those [points of 100].';
comment on column v_months.n_judged is
'Mature ones of a type of which outcomes are recorded: what shares are of.';
comment on column v_months.n_resolved is 'Of these, resolved within the horizon, and held.';
comment on column v_months.n_resolved_late is 'Of these, resolved after it.';
comment on column v_months.n_undecided is
'Of these, without any end on record: still open, or of unknown outcome.';
comment on column v_months.resolved_share is
'Share resolved within the horizon among n_judged, undecided ones included; null: none judged. Where
the horizon is measured (basis of v_horizons) it is some nine tenths at most, since that is how the
horizon was chosen: compare types and months by it, and set a horizon to judge by a target.';
comment on column v_months.undecided_share is 'Share undecided among n_judged; null: none judged.';
comment on column v_months.n_throughput_censored is
'Journeys not over, as far as that is known: in the median they last at least so long.';
comment on column v_months.throughput_s_median is
'Half are over by then (Kaplan-Meier, open ones included); null: not so far [s].';
comment on column v_months.throughput_s_median_hi is
'Upper end of its 95 % interval; null: not reached so far [s].';
comment on column v_months.n_resolution_censored is
'Journeys not resolved, as far as that is known: in the median they last at least so long.';
comment on column v_months.time_to_resolution_s_median is
'Half are resolved by then (Kaplan-Meier, unresolved ones included); null: not so far [s].';
comment on column v_months.time_to_resolution_s_median_hi is
'Upper end of its 95 % interval; null: not reached so far [s].';
