-- purpose: head figures of the report
-- grain:   one row
-- sources: v_journeys, v_journey_cohorts, v_durations, v_ranked_journeys
with

journeys as (
    select
        journeys.* replace (
            case when cohorts.is_mature then journeys.friction_score end as friction_score
        ),
        journeys.friction_score is not null as is_scored,
        cohorts.is_mature,
        cohorts.is_judged,
        cohorts.is_resolved_in_time,
        cohorts.is_undecided
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
),

-- what is open counts as lasting at least so long
durations as (
    select median_s
    from v_durations
    where scope = 'all' and measure = 'throughput_s'
),

healthy as (
    select
        count(health_ops) as n_health,
        quantile_cont(health_ops, [0.25, 0.5, 0.75]) as health_ops,
        median_band(median(health_ops), count(health_ops)) as band,
        median(health_ops_lo) as health_ops_lo,
        median(health_ops_hi) as health_ops_hi
    from v_ranked_journeys
    where is_mature
),

counted as (
    select
        count(*) as n_journeys,
        count(*) filter (state = 'closed') as n_closed,
        count(distinct journey_type) as n_types,
        count(distinct owner) as n_owners,
        timezone('UTC', min(started_at)) as started_at,
        timezone('UTC', max(ended_at)) as ended_at,
        count(*) filter (is_scored) as n_scored,
        count(friction_score) as n_friction,
        count(*) filter (friction_score is not null and n_evidence > 0) as n_with_evidence,
        count(n_handoffs) as n_of_known_owner,
        quantile_cont(friction_score, [0.25, 0.5, 0.75]) as friction_score,
        sum(friction_hazard) as hazard,
        sum(friction_hazard * friction_edge_share) as edge_hazard,
        count(*) filter (not is_mature) as n_too_young,
        count(*) filter (is_judged) as n_judged,
        count(*) filter (is_resolved_in_time) as n_resolved,
        count(*) filter (is_undecided) as n_undecided,
        count(data_continuity) as n_continuity,
        avg(data_continuity) as data_continuity,
        count(customer_wait_s) as n_wait,
        (select durations.median_s from durations) as throughput_s,
        avg(evidence_coverage) as evidence_coverage
    from journeys
),

totals as (
    select
        counted.*,
        healthy.*
    from counted
    cross join healthy
)

select * from totals
