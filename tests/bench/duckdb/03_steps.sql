-- Purpose: sessions and steps of journeys. Grain: one event, in journey order.
create temp table in_sessions as
with strands as (
    select
        pos,
        us,
        is_message,
        j,
        case when is_message then cast('message' as family) else family end as strand
    from cut
    order by j, strand, pos
),

begun as (
    select
        pos,
        row_number() over () as place,
        is_message or coalesce(
            j != lag(j) over () or strand != lag(strand) over ()
            or us - lag(us) over () > 1800000000, true
        ) as begins
    from strands
)

select
    pos,
    begins and lead(begins, 1, true) over () as is_session,
    running_max(case when begins then (place << 32) | pos end) & 4294967295 as session_pos
from begun
order by pos;

create temp table told as
with sessioned as (
    select
        c.*,
        s.session_pos,
        s.is_session
    from cut as c
    positional join in_sessions as s
),

changes as (
    select
        *,
        case
            when touchpoint is not null then enum_code(touchpoint)
            when direction = 'internal' then 1000 + enum_code(activity)
            else 100000 + enum_code(channel)
        end as place
    from sessioned
),

begun as (
    select
        *,
        pos = journey_pos
        or changed(place)
        or changed(team)
        or changed(session_pos)
        or (
            changed(owner)
            and not (owner_from_table and lag(owner_from_table) over ())
        ) as begins_step,
        running_max(case when is_end then pos end) as latest_end
    from changes
)

select
    * exclude (place, latest_end),
    cast(running_sum(cast(begins_step as bigint)) as integer) as step,
    lead(begins_step, 1, true) over () and begins_step as is_alone,
    lag(latest_end) over () as last_end
from begun;

drop table cut;
drop table in_sessions;

-- Talk is work, from the event's time on.
create macro end_of(us, talk_s) as us + 1000000 * cast(coalesce(talk_s, 0) as bigint);

-- Steps of one event, most of them, are read off their event; only the others are grouped.
create temp table steps as
with opened as (
    select
        * exclude (event, gap, reopen_window, is_session),
        coalesce(lead(pos) over (), (select max(t.pos) + 1 from told as t)) - pos as n_events
    from told
    where begins_step
),

gathered as (
    select
        step,
        max(us) as last_us,
        max(end_of(us, talk_s)) as end_us,
        bool_or(is_worked) as is_worked,
        arg_max(outcome, pos) as outcome,
        arg_min(intent, pos) as intent,
        cast(sum(wait_s) as bigint) as queue_s,
        bool_or(to_owner is not null) as has_receiver,
        list(concat('events/', id) order by pos) as event_ids
    from told
    where not is_alone
    group by step
)

select
    o.* exclude (
        outcome, intent, wait_s, talk_s, id, is_alone, begins_step, to_owner, is_worked, settles,
        is_weak
    ),
    coalesce(g.last_us, o.us) as last_us,
    coalesce(g.end_us, end_of(o.us, o.talk_s)) as end_us,
    coalesce(g.is_worked, o.is_worked) as is_worked,
    case when o.n_events = 1 then o.outcome else g.outcome end as outcome,
    case when o.n_events = 1 then o.intent else g.intent end as intent,
    case when o.n_events = 1 then o.wait_s else g.queue_s end as queue_s,
    case when o.n_events = 1 then o.to_owner is not null else g.has_receiver end as has_receiver,
    case when o.n_events = 1 then [concat('events/', o.id)] else g.event_ids end as event_ids
from opened as o
left join gathered as g on o.step = g.step
order by o.step;
