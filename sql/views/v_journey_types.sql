-- purpose: how the journeys of each type and owner go
-- grain: journey type and owner
-- key: journey_type, owner
-- sources: v_journeys, v_health
create or replace view v_journey_types as
with journeys as (
    select * from v_journeys
),

healthy as (
    select * from v_health
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
        counted.*,
        coalesce(healthy.n_health, 0) as n_health,
        healthy.health_ops_median,
        healthy.health_ops_p10,
        coalesce(healthy.n_good, 0) as n_good,
        coalesce(healthy.n_fair, 0) as n_fair,
        coalesce(healthy.n_poor, 0) as n_poor,
        healthy.band,
        share_of(counted.n_resolved, counted.n_outcome_known) as resolved_share,
        wilson_lo(counted.n_resolved, counted.n_outcome_known) as resolved_share_lo,
        wilson_hi(counted.n_resolved, counted.n_outcome_known) as resolved_share_hi
    from counted
    left join healthy
        on
            counted.journey_type is not distinct from healthy.journey_type
            and counted.owner is not distinct from healthy.owner
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
comment on column v_journey_types.n_health is
'Closed journeys with a health that ranks (v_health).';
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
