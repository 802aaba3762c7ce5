-- purpose: head figures of the report
-- grain:   one row
-- sources: v_journeys, v_ranked_journeys
with

journeys as (
    from v_journeys
),

healthy as (
    select
        count(health_ops) as n_health,
        quantile_cont(health_ops, [0.25, 0.5, 0.75]) as health_ops,
        median(health_ops_lo) as health_ops_lo,
        median(health_ops_hi) as health_ops_hi
    from v_ranked_journeys
),

counted as (
    select
        count(*) as n_journeys,
        count(*) filter (state = 'closed') as n_closed,
        count(distinct journey_type) as n_types,
        count(distinct owner) as n_owners,
        timezone('UTC', min(started_at)) as started_at,
        timezone('UTC', max(ended_at)) as ended_at,
        count(friction_score) as n_friction,
        count(*) filter (n_evidence > 0) as n_with_evidence,
        quantile_cont(friction_score, [0.25, 0.5, 0.75]) as friction_score,
        sum(friction_hazard) as hazard,
        sum(friction_hazard * friction_edge_share) as edge_hazard,
        count(outcome01) as n_outcome,
        count(*) filter (outcome01 = 1) as n_resolved,
        count(data_continuity) as n_continuity,
        avg(data_continuity) as data_continuity,
        count(customer_wait_s) as n_wait,
        median(throughput_s) as throughput_s,
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
