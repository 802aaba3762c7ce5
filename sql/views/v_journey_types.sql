-- purpose: how the journeys of each type and owner go
-- grain: journey type and owner
-- key: journey_type, owner
-- sources: v_journeys
create or replace view v_journey_types as
with journeys as (
    select * from v_journeys
),

counted as (
    select
        journey_type,
        owner,
        count(*) as n_journeys,
        count(*) filter (state = 'open') as n_open,
        count(friction_score) as n_scored,
        avg(friction_score) as friction_mean,
        median(friction_score) as friction_median,
        sum(friction_hazard) as hazard,
        avg(friction_edge_share) as edge_share_mean,
        count(health_ops) as n_health,
        median(health_ops) as health_ops_median,
        quantile_cont(health_ops, 0.1) as health_ops_p10,
        count(*) filter (health_band(health_ops) = 'good') as n_good,
        count(*) filter (health_band(health_ops) = 'fair') as n_fair,
        count(*) filter (health_band(health_ops) = 'poor') as n_poor,
        count(outcome01) as n_outcome_known,
        count(*) filter (outcome01 = 1) as n_resolved,
        median(throughput_s) as throughput_s_median,
        avg(n_handoffs) as handoffs_mean,
        avg(evidence_coverage) as coverage_mean
    from journeys
    group by journey_type, owner
),

rated as (
    select
        *,
        health_band(health_ops_median) as band,
        share_of(n_resolved, n_outcome_known) as resolved_share,
        wilson_lo(n_resolved, n_outcome_known) as resolved_share_lo,
        wilson_hi(n_resolved, n_outcome_known) as resolved_share_hi
    from counted
)

select * from rated;

comment on view v_journey_types is
'One row per journey type and owner; compare owners only at equal coverage.';
comment on column v_journey_types.journey_type is 'Type of the journeys.';
comment on column v_journey_types.owner is 'Owner of the journeys; null where unknown.';
comment on column v_journey_types.n_journeys is 'Journeys, open ones included.';
comment on column v_journey_types.n_open is 'Journeys that may still grow.';
comment on column v_journey_types.n_scored is 'Journeys with a friction score.';
comment on column v_journey_types.friction_mean is 'Mean friction score [points of 100].';
comment on column v_journey_types.friction_median is 'Median friction score [points of 100].';
comment on column v_journey_types.hazard is 'Sum of hazards.';
comment on column v_journey_types.edge_share_mean is
'Mean share of friction between steps: what surveys call the silo gap.';
comment on column v_journey_types.n_health is 'Journeys with an operational health.';
comment on column v_journey_types.health_ops_median is 'Median operational health [points of 100].';
comment on column v_journey_types.health_ops_p10 is
'What nine of ten journeys exceed [points of 100].';
comment on column v_journey_types.n_good is 'Journeys with health of 80 or more.';
comment on column v_journey_types.n_fair is 'Journeys with health from 60 to 80.';
comment on column v_journey_types.n_poor is 'Journeys with health below 60.';
comment on column v_journey_types.n_outcome_known is 'Journeys with a mapped outcome.';
comment on column v_journey_types.n_resolved is 'Of these, resolved and held.';
comment on column v_journey_types.throughput_s_median is 'Median throughput time [s].';
comment on column v_journey_types.handoffs_mean is 'Mean number of hand-offs.';
comment on column v_journey_types.coverage_mean is
'Mean share of the detectors that had their data.';
comment on column v_journey_types.band is 'Band of the median: good, fair or poor.';
comment on column v_journey_types.resolved_share is
'Share resolved among those with an outcome; null: none counted.';
comment on column v_journey_types.resolved_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_journey_types.resolved_share_hi is 'Upper end of its 95 % Wilson interval.';
