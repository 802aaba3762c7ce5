-- purpose: inside each journey: the order in which activity instances stand together, sessions
--          by channel family, steps
-- grain:   one row per event
-- key:     place
-- sources: cut, settings
create or replace table stepped as
with
instances as (
    select
        *,
        if(
            activity_id is null,
            place,
            min(place) over (partition by journey_id, activity_id)
        ) as instance
    from cut
),

ordered as (
    select
        * exclude (t_start, t_end),
        min(t_start) over (partition by journey_id, instance) as t_start,
        max(t_end) over (partition by journey_id, instance) as t_end,
        row_number() over (partition by journey_id order by instance, place) as pos
    from instances
),

silences as (
    select
        *,
        is_message
        or lag(pos) over family_events is null
        or (
            t - max(t) over (
                family_events rows between unbounded preceding and 1 preceding
            ) > (select session_gap from settings)
            and instance <> lag(instance) over family_events
        ) as begins
    from ordered
    window family_events as (partition by journey_id, family, is_message order by pos)
),

visits as (
    select
        *,
        if(
            is_message,
            'm' || pos,
            family || sum(begins::int) over (
                partition by journey_id, family, is_message order by pos
            )
        ) as visit
    from silences
),

sessions as (
    select
        *,
        dense_rank() over (partition by journey_id order by visit_pos) as session_seq
    from (
        select
            *,
            min(pos) over (partition by journey_id, visit) as visit_pos
        from visits
    ) as placed
),

boundaries as (
    select
        *,
        coalesce(touchpoint, if(channel = 'internal', activity, channel)) as place_of_contact,
        row_number() over journey = 1
        or instance <> lag(
            instance
        ) over journey
        and (
            coalesce(touchpoint, if(channel = 'internal', activity, channel))
            <> lag(coalesce(touchpoint, if(channel = 'internal', activity, channel))) over journey
            or (
                owner_eff is distinct from lag(owner_eff) over journey
                and not (is_owner_from_table and lag(is_owner_from_table) over journey)
            )
            or team_eff is distinct from lag(team_eff) over journey
            or session_seq <> lag(session_seq) over journey
        ) as begins_step
    from sessions
    window journey as (partition by journey_id order by pos)
),

numbered as (
    select
        *,
        sum(begins_step::int) over (partition by journey_id order by pos) as seq
    from boundaries
)

select
    *,
    journey_id || '-s' || session_seq as session_id,
    journey_id || '-' || format('{:04d}', seq::int) as step_id
from numbered;
