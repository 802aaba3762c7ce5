-- purpose: which journeys are old enough to be judged, and how: what all shares of journeys count
-- grain: journey
-- key: journey_id
-- sources: v_journey_times, v_horizons
create or replace view v_journey_cohorts as
with aged as (
    select
        times.journey_id,
        times.journey_type,
        times.started_month,
        times.state,
        times.age_s,
        horizons.horizon_s,
        coalesce(times.known_s >= horizons.horizon_s, false) as is_mature,
        horizons.n_outcome_known > 0 as is_outcome_logged,
        times.is_resolved,
        times.is_decided,
        coalesce(times.resolved_s <= horizons.horizon_s, false) as is_within
    from v_journey_times as times
    inner join v_horizons as horizons
        on times.journey_type is not distinct from horizons.journey_type
),

cohorts as (
    select
        journey_id,
        journey_type,
        started_month,
        state,
        age_s,
        horizon_s,
        is_mature,
        is_mature and is_outcome_logged as is_judged,
        case when is_mature and is_outcome_logged then is_resolved and is_within end
            as is_resolved_in_time,
        case when is_mature and is_outcome_logged then is_resolved and not is_within end
            as is_resolved_late,
        case when is_mature and is_outcome_logged then not is_decided end as is_undecided
    from aged
)

select * from cohorts;

comment on column v_journey_cohorts.is_mature is
'Older than its horizon, and than the time in which an end within it may still be taken back: what
it is judged by has happened.';
comment on column v_journey_cohorts.is_judged is
'It is mature, and outcomes of its type are recorded at all.';
comment on column v_journey_cohorts.is_resolved_in_time is
'It was resolved within the horizon, and that held; null: not judged.';
comment on column v_journey_cohorts.is_resolved_late is
'It was resolved, and that held, but after the horizon; null: not judged.';
comment on column v_journey_cohorts.is_undecided is
'Judged without any end on record: still open, or its outcome is unknown; null: not judged.';
