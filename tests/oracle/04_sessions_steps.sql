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

create or replace table stepped as
with
owned as (
    select
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
        e.lifecycle,
        e.start_time is not null or e.end_time is not null as has_span,
        coalesce(e.touchpoint, if(e.channel = 'internal', e.activity, e.channel))
            as place_of_contact,
        1000000 * (
            coalesce(e.talk_s, 0) + coalesce(e.hold_s, 0) + coalesce(e.wrap_s, 0)
        )::bigint as handled
    from cut as c
    inner join ev as e on c.place = e.place
),

-- events that share an activity: of all others each is an instance by itself
shared as (
    select
        j,
        activity_id,
        min(place) as instance,
        count(*) as n
    from owned
    where activity_id is not null
    group by j, activity_id
),

instances as (
    select
        o.*,
        coalesce(a.instance, o.place) as instance,
        p.complete_t,
        c.start_t,
        p.start_place is null and c.start_place is null and not o.has_span
        and coalesce(a.n, 1) = 1 as is_alone
    from owned as o
    left join shared as a on o.j = a.j and o.activity_id = a.activity_id
    left join paired as p on o.place = p.start_place
    left join paired as c on o.place = c.complete_place
),

spans as (
    select
        instance,
        min(coalesce(start_t, t_start)) - any_value(
            if(is_alone and coalesce(lifecycle = 'complete', false), handled, 0)
        ) as t_start,
        max(coalesce(complete_t, t_end)) + any_value(
            if(is_alone and lifecycle is distinct from 'complete', handled, 0)
        ) as t_end
    from instances
    group by instance
),

-- one after the other, as they stand together
lined as (
    select
        i.*,
        row_number() over journey as pos,
        lag(i.instance) over journey as instance_before,
        lag(i.place_of_contact) over journey as contact_before,
        lag(i.owner_eff) over journey as owner_before,
        lag(i.is_owner_from_table) over journey as from_table_before,
        lag(i.team_eff) over journey as team_before
    from instances as i
    window journey as (partition by i.j order by i.instance, i.place)
),

silences as (
    select
        *,
        is_message
        or lag(pos) over visits is null
        or (
            t - max(t) over (visits rows between unbounded preceding and 1 preceding)
            > (select session_gap from settings)
            and instance <> lag(instance) over visits
        ) as begins
    from lined
    window visits as (partition by j, family, is_message order by pos)
),

visits as (
    select
        *,
        max(if(begins, pos, null)) over (
            partition by j, family, is_message order by pos
        ) as visit_pos
    from silences
),

boundaries as (
    select
        *,
        pos = 1
        or instance <> instance_before
        and (
            place_of_contact <> contact_before
            or (
                owner_eff is distinct from owner_before
                and not (is_owner_from_table and from_table_before)
            )
            or team_eff is distinct from team_before
            or visit_pos <> lag(visit_pos) over journey
        ) as begins_step,
        sum(begins::int) over journey as n_begun
    from visits
    window journey as (partition by j order by pos)
),

numbered as (
    select
        b.j,
        b.place,
        b.instance,
        b.pos,
        b.begins_step,
        sum(b.begins_step::int) over journey as seq,
        -- sessions are numbered as they begin
        max(if(b.begins, b.n_begun, null)) over visits as session_seq
    from boundaries as b
    window
        journey as (partition by b.j order by b.pos),
        visits as (partition by b.j, b.family, b.is_message order by b.pos)
)

select
    e.* exclude (t_start, t_end),
    c.* exclude (place),
    s.t_start,
    s.t_end,
    n.instance,
    n.pos,
    n.session_seq,
    n.seq,
    n.begins_step,
    c.journey_id || '-s' || n.session_seq as session_id,
    c.journey_id || '-' || format('{:04d}', n.seq::int) as step_id
from numbered as n
inner join ev as e on n.place = e.place
inner join cut as c on n.place = c.place
inner join spans as s on n.instance = s.instance;
