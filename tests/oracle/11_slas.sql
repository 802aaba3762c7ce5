-- purpose: service levels of a journey, with a clock that stands while it waits for the customer,
--          and out of the hours of the opening step's owner where the level is in working time
-- grain:   one row per journey and service level (response, resolution) that holds when it starts
-- key:     j, sla, kind
-- sources: stepped, step, journey, outcome, slas, settings, work_clock
create or replace table sla_result as
with
opening as (
    select
        j,
        min(place) as start_place,
        arg_min(t, place) as start_t,
        arg_min(step, place) as step
    from stepped
    where is_need_driven
    group by j
),

begun as (
    -- the clock runs in the hours of the step's owner; the level is owed by the type's
    select
        o.*,
        s.owner,
        coalesce(j.type_owner, c.owner, s.owner) as owed_by
    from opening as o
    inner join step as s on o.step = s.step
    inner join journey as j on o.j = j.j
    inner join types as c on j.journey_type = c.name
),

levels as (
    select
        o.*,
        s.sla,
        s.kind,
        coalesce(s.is_working_time, false) as is_working,
        (extract(epoch from s.due::interval) * 1000000)::bigint as span
    from begun as o
    inner join journey as j on o.j = j.j
    inner join slas as s
        on
            j.journey_type = s.journey_type
            and coalesce(epoch_us(s.valid_from) <= o.start_t, true)
            and coalesce(o.start_t < epoch_us(s.valid_to), true)
    where s.kind in ('response', 'resolution')
    qualify row_number() over (
        partition by o.j, s.sla, s.kind order by s.valid_from desc nulls last, s.json asc
    ) = 1
),

-- whose clock stands at times; all others show how long ago the journey started
stopping as (
    select distinct j from levels
    where
        is_working
        or j in (
            select e.j from stepped as e
            where e.waiting_for = 'customer'
        )
),

awaited as (
    -- the customer is awaited until he acts or somebody else is waited for
    select
        j,
        place,
        t,
        lead(t) over journey as next_t,
        coalesce(last_value(
            case
                when waiting_for = 'customer' then true
                when waiting_for is not null or actor_type = 'customer' then false
            end ignore nulls
        ) over (
            partition by j order by place
            rows between unbounded preceding and current row
        ), false) as stands
    from stepped
    where j in (select v.j from stopping as v)
    window journey as (partition by j order by place)
),

gaps as (
    select
        e.*,
        false as is_working,
        if(e.stands, 0, coalesce(e.next_t - e.t, 0)) as gap
    from awaited as e
    inner join begun as o on e.j = o.j and e.place >= o.start_place
    union all
    select
        e.*,
        true as is_working,
        if(e.stands, 0, coalesce(worked_us(o.owner, e.t, e.next_t), 0)) as gap
    from awaited as e
    inner join begun as o on e.j = o.j and e.place >= o.start_place
    where (select bool_or(is_working_time) from slas)
),

clocked as (
    select
        *,
        coalesce(sum(gap) over (
            partition by j, is_working order by place
            rows between unbounded preceding and 1 preceding
        ), 0)::bigint as run
    from gaps
),

running as (
    -- the last event at which the time of the level is not used up
    select
        v.j,
        v.sla,
        v.kind,
        any_value(v.owner) as owner,
        v.is_working,
        arg_max(c.stands, c.place) as stands,
        arg_max(c.t, c.place) as t,
        any_value(v.span) - arg_max(c.run, c.place) as rest
    from levels as v
    inner join clocked as c
        on v.j = c.j and v.is_working = c.is_working and v.span > c.run
    group by v.j, v.sla, v.kind, v.is_working
),

dues as (
    select
        j,
        sla,
        kind,
        stands,
        if(is_working, reached_t(owner, t, rest), t + rest) as some_due
    from running
    union all
    select
        j,
        sla,
        kind,
        false as stands,
        start_t + span as some_due
    from levels
    where span > 0 and j not in (select v.j from stopping as v)
),

answers as (
    select
        e.j,
        min(e.place) as place
    from stepped as e
    inner join opening as o on e.j = o.j and e.place >= o.start_place
    where
        not e.is_pushed
        and (
            (e.direction = 'outbound' and e.actor_type not in ('customer', 'bot', 'system'))
            or (
                e.direction = 'inbound' and e.actor_type = 'human'
                and e.channel in ('phone', 'branch', 'visit', 'chat')
            )
        )
    group by e.j
),

judged as (
    select
        v.*,
        if(d.stands, null, d.some_due) as due_t,
        d.some_due is not null as is_measured,
        m.t as met_t,
        case
            when d.some_due is not null then if(p.j is null, m.t - v.start_t, k.run)
        end as elapsed,
        j.w,
        j.lateness,
        v.kind = 'response' or j.is_closed as is_settled
    from levels as v
    inner join journey as j on v.j = j.j
    inner join outcome as u on v.j = u.j
    inner join dues as d
        on v.j = d.j and v.sla = d.sla and v.kind = d.kind
    left join answers as a on v.j = a.j
    left join stopping as p on v.j = p.j
    left join ev as m
        on
            if(v.kind = 'response', a.place, u.held_place) = m.place
            and v.start_place <= m.place
    left join clocked as k on m.place = k.place and v.is_working = k.is_working
),

stated as (
    select
        *,
        case
            when not is_measured then null
            when met_t is not null and due_t < met_t then 'breached'
            when met_t is not null and is_settled then 'achieved'
            when met_t is null and coalesce(w > due_t + lateness, false) then 'breached'
            else 'open'
        end as status
    from judged
)

select
    stated.*,
    case
        when stated.status <> 'breached' then null
        when stated.met_t is not null then stated.met_t <= stated.due_t + s.give_up
        else not coalesce(stated.w > stated.due_t + s.give_up + stated.lateness, false)
    end as is_late
from stated
cross join settings as s;
