-- purpose: how long each journey took, as far as that is known: what is not over is censored
-- grain: journey
-- key: journey_id
-- sources: v_journeys, v_publication, v_type_rules
create or replace view v_journey_times as
with journeys as (
    select
        journey_id,
        journey_type,
        owner,
        started_at,
        ended_at,
        state,
        outcome01,
        outcome_basis,
        throughput_s,
        time_to_resolution_s
    from v_journeys
),

clock as (
    select complete_until_at - lateness as settled_until_at
    from v_publication
),

rest as (
    select settling_s from v_type_rules
    where journey_type = 'other'
),

-- An end is an end when nothing followed it for as long as something could: of the last days only
-- what went on is known, so that nothing of them may count.
aged as (
    select
        journeys.*,
        (epoch_us(clock.settled_until_at) - epoch_us(journeys.started_at)) / 1e6 as age_s,
        (epoch_us(clock.settled_until_at) - epoch_us(journeys.started_at)) / 1e6
        - coalesce(rules.settling_s, rest.settling_s) as known_s,
        coalesce(
            journeys.throughput_s,
            (epoch_us(journeys.ended_at) - epoch_us(journeys.started_at)) / 1e6
        ) as so_far_s,
        is_resolved(journeys.outcome01, journeys.outcome_basis) as is_resolved,
        is_decided(journeys.outcome01, journeys.outcome_basis) as is_decided
    from journeys
    cross join clock
    cross join rest
    left join v_type_rules as rules on journeys.journey_type = rules.journey_type
),

ends as (
    select
        *,
        case when state = 'closed' then so_far_s end as over_s,
        case when is_resolved then coalesce(time_to_resolution_s, so_far_s) end as resolved_s,
        -- nobody knows how it ended: not resolved before its last event, then out of sight
        case
            when state = 'closed' and not is_decided and coalesce(outcome01 != 0, true)
                then so_far_s
        end as lost_s
    from aged
),

times as (
    select
        journey_id,
        journey_type,
        owner,
        date_trunc('month', started_at)::date as started_month,
        state,
        is_resolved,
        is_decided,
        age_s,
        known_s,
        resolved_s,
        case when known_s >= 0 then least(over_s, known_s) end as throughput_s,
        coalesce(over_s <= known_s, false) as is_throughput_seen,
        case when known_s >= 0 then least(resolved_s, lost_s, known_s) end as resolution_s,
        coalesce(resolved_s <= known_s, false) as is_resolution_seen
    from ends
)

select * from times;

comment on column v_journey_times.started_month is
'First day of the month in which it started (UTC): its start cohort.';
comment on column v_journey_times.is_resolved is
'It closed with a recorded outcome that counts 1.';
comment on column v_journey_times.is_decided is 'It closed with a recorded outcome, whichever.';
comment on column v_journey_times.age_s is
'From its start to the time up to which all sources are complete, less the lateness [s].';
comment on column v_journey_times.known_s is
'Its age less the time in which an end may be taken back or waited for (settling_s of v_type_rules):
up to there its ends are known; negative: nothing is [s].';
comment on column v_journey_times.resolved_s is
'From its start to the end that held, whenever; null: not resolved [s].';
comment on column v_journey_times.throughput_s is
'From start to last event, known_s at most; null: nothing is known [s].';
comment on column v_journey_times.is_throughput_seen is
'It is over, within known_s; false: censored, it takes at least so long.';
comment on column v_journey_times.resolution_s is
'From start to the end that held, known_s at most, or to the last event of a closed one with unknown
outcome; null: nothing is known [s].';
comment on column v_journey_times.is_resolution_seen is
'It was resolved, within known_s; false: censored, it takes at least so long.';
