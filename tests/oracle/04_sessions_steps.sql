-- purpose: inside each journey: starts with the completes that end them, in the order of their
--          times; the order in which activity instances stand together (`line`, over all
--          journeys), sessions by channel family (numbered by their first line), steps (numbered
--          over all journeys)
-- grain:   one row per event
-- key:     place
-- sources: ev, cut, settings
create or replace table paired as
with recursive
points as (
    select
        e.place,
        e.t,
        coalesce(e.lifecycle = 'start', false) as opens,
        dense_rank() over (
            order by c.j, e.activity, e.owner_eff, e.actor_id
        ) as strand,
        row_number() over (
            partition by c.j, e.activity, e.owner_eff, e.actor_id
            order by e.t asc, coalesce(e.lifecycle, 'complete') desc, e.place asc
        ) as k
    from cut as c
    inner join ev as e on c.place = e.place
    where
        e.activity_id is null and e.start_time is null and e.end_time is null
        and coalesce(e.lifecycle, 'complete') in ('start', 'complete')
        -- nothing is ended where nothing starts
        and c.j in (
            select s.j from cut as s
            inner join ev as o on s.place = o.place
            where o.lifecycle = 'start'
        )
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

create or replace table instances as
with
owned as (
    select
        e.event,
        c.j,
        e.place,
        e.t,
        e.t_start,
        e.t_end,
        e.family,
        e.is_message,
        e.owner_eff,
        e.is_owner_from_table,
        e.team_eff,
        e.activity_id,
        coalesce(e.lifecycle = 'complete', false) as is_complete,
        e.start_time is not null or e.end_time is not null as has_span,
        coalesce(e.touchpoint, if(e.channel = 'internal', e.activity, e.channel))
            as place_of_contact,
        1000000 * (
            coalesce(e.talk_s, 0) + coalesce(e.hold_s, 0) + coalesce(e.wrap_s, 0)
        )::bigint as handled
    from ev as e
    positional join cut as c
),

-- events that share an activity: of all others each is an instance by itself
shared as (
    select
        j,
        activity_id,
        min(place) as instance
    from owned
    where activity_id is not null
    group by j, activity_id
    having count(*) > 1
),

-- events that do not stand for themselves
joint as (
    select
        place,
        any_value(instance) as instance,
        any_value(start_t) as start_t,
        any_value(complete_t) as complete_t
    from (
        select
            o.place,
            a.instance,
            null::bigint as start_t,
            null::bigint as complete_t
        from owned as o
        inner join shared as a on o.j = a.j and o.activity_id = a.activity_id
        union all
        select
            start_place as place,
            null as instance,
            null as start_t,
            complete_t
        from paired
        union all
        select
            complete_place as place,
            null as instance,
            start_t,
            null as complete_t
        from paired
    ) as every
    group by place
)

select
    o.* exclude (t_start, t_end, activity_id, has_span, handled, is_complete),
    coalesce(a.instance, o.place) as instance,
    a.instance is null as is_alone,
    coalesce(a.start_t, o.t_start)
    - if(a.place is null and not o.has_span and o.is_complete, o.handled, 0) as t_start,
    coalesce(a.complete_t, o.t_end)
    + if(a.place is null and not o.has_span and not o.is_complete, o.handled, 0) as t_end
from owned as o
left join joint as a on o.place = a.place
order by o.j, instance, o.place;

-- one after the other, as they stand together
create or replace table lined as
select
    row_number() over () as line,
    event,
    place,
    j,
    t,
    family,
    is_message,
    instance,
    changed(j) as begins_journey,
    changed(instance) as begins_instance,
    changed(place_of_contact)
    or (changed(owner_eff) and not (is_owner_from_table and lag(is_owner_from_table) over ()))
    or changed(team_eff) as moves
from instances;

create or replace table visited as
with
silences as (
    select
        line,
        j,
        family,
        is_message,
        is_message
        or lag(line) over visits is null
        or (
            t - max(t) over (visits rows between unbounded preceding and 1 preceding)
            > (select session_gap from settings)
            and instance <> lag(instance) over visits
        ) as begins
    from lined
    window visits as (partition by j, family, is_message order by line)
),

ordered as (
    select
        line,
        begins
    from silences
    order by j, family, is_message, line
),

visits as (
    select
        *,
        row_number() over () as n
    from ordered
)

-- the first line of the visit: what begins later here is found by a running maximum
select
    line,
    begins and lead(begins, 1, true) over () as is_session,
    (running_max(if(begins, (n << 32) | line, null)) & 4294967295)::int as session
from visits
order by line;

create or replace table of_lines as
with
boundaries as (
    select
        l.event,
        l.line,
        l.instance,
        l.begins_journey,
        v.session,
        v.is_session,
        l.begins_journey
        or (l.begins_instance and (l.moves or changed(v.session))) as begins_step
    from lined as l
    positional join visited as v
),

counted as (
    select
        *,
        begins_step and lead(begins_step, 1, true) over () as is_step,
        running_sum(begins_step::int)::int as step,
        running_max(if(begins_journey, line, null)) as first_line
    from boundaries
),

spans as (
    select
        instance,
        min(t_start) as t_start,
        max(t_end) as t_end
    from instances
    where not is_alone
    group by instance
)

select
    i.event as nth,
    i.instance,
    i.line - i.first_line + 1 as pos,
    i.session,
    i.is_session,
    i.step,
    i.is_step,
    i.begins_step,
    coalesce(s.t_start, i.t_start) as began_t,
    coalesce(s.t_end, i.t_end) as done_t
from (
    select
        b.*,
        i.t_start,
        i.t_end,
        i.is_alone
    from counted as b
    positional join instances as i
) as i
left join spans as s on i.instance = s.instance and not i.is_alone
order by i.event;

drop table instances;
drop table lined;
drop table visited;

create or replace view stepped as
select
    e.* exclude (t_start, t_end),
    c.* exclude (event, place),
    l.* exclude (nth, began_t, done_t),
    l.began_t as t_start,
    l.done_t as t_end
from ev as e
positional join cut as c
positional join of_lines as l;
