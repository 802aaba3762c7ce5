-- purpose: how the journeys of each type and owner go
-- grain: journey type and owner
-- note: Compare owners only at equal coverage. Scores and shares are of journeys old enough to be
--       judged; of the youngest only the quick ones have ended.
-- key: journey_type, owner
-- sources: v_journeys, v_journey_cohorts, v_durations, v_health
create or replace view v_journey_types as
with journeys as (
    select
        journeys.* exclude (friction_score),
        case when cohorts.is_mature then journeys.friction_score end as friction_score,
        cohorts.is_mature,
        cohorts.is_judged,
        cohorts.is_resolved_in_time,
        cohorts.is_resolved_late,
        cohorts.is_undecided
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
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
        sum(friction_hazard * friction_edge_share) as edge_hazard,
        count(*) filter (not is_mature) as n_too_young,
        count(*) filter (is_mature) as n_mature,
        count(*) filter (is_judged) as n_judged,
        count(*) filter (is_resolved_in_time) as n_resolved,
        count(*) filter (is_resolved_late) as n_resolved_late,
        count(*) filter (is_undecided) as n_undecided,
        avg(n_handoffs) as handoffs_mean,
        avg(evidence_coverage) as coverage_mean
    from journeys
    group by journey_type, owner
),

spread as (
    select
        journey_type,
        owner,
        max(median_s) filter (measure = 'throughput_s') as throughput_s_median,
        max(median_s) filter (measure = 'time_to_resolution_s') as time_to_resolution_s_median,
        max(median_s_lo) filter (measure = 'time_to_resolution_s')
            as time_to_resolution_s_median_lo,
        max(median_s_hi) filter (measure = 'time_to_resolution_s')
            as time_to_resolution_s_median_hi
    from v_durations
    where scope = 'journey_type_owner'
    group by journey_type, owner
),

rated as (
    select
        counted.* exclude (edge_hazard),
        share_of(counted.edge_hazard, counted.hazard) as edge_share,
        coalesce(healthy.n_health, 0) as n_health,
        healthy.health_ops_median,
        healthy.health_ops_p10,
        coalesce(healthy.n_good, 0) as n_good,
        coalesce(healthy.n_fair, 0) as n_fair,
        coalesce(healthy.n_poor, 0) as n_poor,
        healthy.band,
        share_of(counted.n_resolved, counted.n_judged) as resolved_share,
        wilson_lo(counted.n_resolved, counted.n_judged) as resolved_share_lo,
        wilson_hi(counted.n_resolved, counted.n_judged) as resolved_share_hi,
        share_of(counted.n_resolved_late, counted.n_judged) as resolved_late_share,
        wilson_lo(counted.n_resolved_late, counted.n_judged) as resolved_late_share_lo,
        wilson_hi(counted.n_resolved_late, counted.n_judged) as resolved_late_share_hi,
        share_of(counted.n_undecided, counted.n_judged) as undecided_share,
        wilson_lo(counted.n_undecided, counted.n_judged) as undecided_share_lo,
        wilson_hi(counted.n_undecided, counted.n_judged) as undecided_share_hi,
        spread.throughput_s_median,
        spread.time_to_resolution_s_median,
        spread.time_to_resolution_s_median_lo,
        spread.time_to_resolution_s_median_hi
    from counted
    left join healthy
        on
            counted.journey_type is not distinct from healthy.journey_type
            and counted.owner is not distinct from healthy.owner
    left join spread
        on
            counted.journey_type is not distinct from spread.journey_type
            and counted.owner is not distinct from spread.owner
)

select * from rated;

comment on column v_journey_types.n_journeys is 'Journeys, open ones included.';
comment on column v_journey_types.n_open is 'Journeys that may still grow.';
comment on column v_journey_types.n_scored is 'Mature journeys with a friction score.';
comment on column v_journey_types.friction_mean is 'Mean friction score of those [points of 100].';
comment on column v_journey_types.friction_median is
'Median friction score of those [points of 100].';
comment on column v_journey_types.hazard is 'Sum of hazards.';
comment on column v_journey_types.edge_share is
'Share of all their hazard that lies between steps, as report and headline have it; null: none.';
comment on column v_journey_types.edge_share_mean is
'Mean share of friction between steps: what surveys call the silo gap.';
comment on column v_journey_types.n_too_young is
'Journeys too young to be judged: in no share, and in no score.';
comment on column v_journey_types.n_mature is 'Journeys old enough (v_journey_cohorts).';
comment on column v_journey_types.n_judged is
'Of these, of a type of which outcomes are recorded: what shares are of.';
comment on column v_journey_types.n_resolved is
'Of n_judged, resolved within the horizon of the type, and held.';
comment on column v_journey_types.n_resolved_late is 'Of n_judged, resolved after it.';
comment on column v_journey_types.n_undecided is
'Of n_judged, without any end on record: still open, or of unknown outcome.';
comment on column v_journey_types.handoffs_mean is 'Mean number of hand-offs.';
comment on column v_journey_types.coverage_mean is
'Mean share of the detectors that had their data.';
comment on column v_journey_types.resolved_share is
'Share resolved within the horizon among n_judged, undecided ones included; null: none judged. Where
the horizon is measured (basis of v_horizons) it is some nine tenths at most, since that is how the
horizon was chosen: compare types and months by it, and set a horizon to judge by a target.';
comment on column v_journey_types.resolved_late_share is
'Share resolved after the horizon among n_judged; null: none judged.';
comment on column v_journey_types.undecided_share is
'Share undecided among n_judged; null: none judged.';
comment on column v_journey_types.throughput_s_median is
'Half are over by then (Kaplan-Meier, open ones included); null: not so far [s].';
comment on column v_journey_types.time_to_resolution_s_median is
'Half are resolved by then (Kaplan-Meier, unresolved ones included); null: not so far [s].';
comment on column v_journey_types.time_to_resolution_s_median_hi is
'Upper end of its 95 % interval; null: not reached so far [s].';
