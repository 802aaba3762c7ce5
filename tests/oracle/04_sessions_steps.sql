-- purpose: inside each journey: starts with the completes that end them, in the order of their
--          times; the order in which activity instances stand together, sessions by channel family,
--          steps
-- grain:   one row per event
-- key:     place
-- sources: cut, settings
create or replace table paired as
with recursive
points as (
    select
        place,
        t,
        coalesce(lifecycle = 'start', false) as opens,
        dense_rank() over (
            order by journey_id, activity, owner_eff, actor_id
        ) as strand,
        row_number() over (
            partition by journey_id, activity, owner_eff, actor_id
            order by t asc, coalesce(lifecycle, 'complete') desc, place asc
        ) as k
    from cut
    where
        activity_id is null and start_time is null and end_time is null
        and coalesce(lifecycle, 'complete') in ('start', 'complete')
),

-- the starts that wait, the first in front
queue as (
    select
        strand,
        0::bigint as k,
        []::struct(place bigint, t bigint)[] as waits,
        null::struct(place bigint, t bigint) as begun,
        null::bigint as place,
        null::bigint as t
    from (select distinct strand from points) as strands
    union all
    select
        p.strand,
        p.k,
        case
            when p.opens then list_append(q.waits, struct_pack(place := p.place, t := p.t))
            else q.waits[2:]
        end as waits,
        if(p.opens, null, q.waits[1]) as begun,
        p.place,
        p.t
    from queue as q
    inner join points as p on q.strand = p.strand and q.k + 1 = p.k
)

select
    q.begun.place as start_place,
    q.begun.t as start_t,
    q.place as complete_place,
    q.t as complete_t
from queue as q
where q.begun is not null;

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

spans as (
    select
        i.*,
        s.complete_t,
        c.start_t,
        1000000 * (
            coalesce(i.talk_s, 0) + coalesce(i.hold_s, 0) + coalesce(i.wrap_s, 0)
        )::bigint as handled,
        s.start_place is null and c.start_place is null and i.start_time is null
        and i.end_time is null
        and count(*) over (partition by i.journey_id, i.instance) = 1 as is_alone
    from instances as i
    left join paired as s on i.place = s.start_place
    left join paired as c on i.place = c.complete_place
),

ordered as (
    select
        * exclude (t_start, t_end, start_t, complete_t, handled, is_alone),
        min(coalesce(start_t, t_start)) over activity - if(
            is_alone and coalesce(lifecycle = 'complete', false), handled, 0
        ) as t_start,
        max(coalesce(complete_t, t_end)) over activity + if(
            is_alone and lifecycle is distinct from 'complete', handled, 0
        ) as t_end,
        row_number() over (partition by journey_id order by instance, place) as pos
    from spans
    window activity as (partition by journey_id, instance)
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
