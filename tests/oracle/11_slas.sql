-- purpose: service levels of a journey, with a clock that stands while it waits for the customer,
--          and out of the hours of the opening step's owner where the level is in working time
-- grain:   one row per journey and service level (response, resolution) that holds when it starts
-- key:     journey_id, sla, kind
-- sources: stepped, step, journey, outcome, slas, settings, work_clock
create or replace table sla_result as
with
opening as (
    select
        journey_id,
        min(place) as start_place,
        arg_min(t, place) as start_t,
        arg_min(step_id, place) as step_id
    from stepped
    where is_need_driven
    group by journey_id
),

begun as (
    -- the clock runs in the hours of the step's owner; the level is owed by the type's
    select
        o.*,
        s.owner,
        coalesce(j.type_owner, c.owner, s.owner) as owed_by
    from opening as o
    inner join step as s on o.step_id = s.step_id
    inner join journey as j on o.journey_id = j.journey_id
    inner join types as c on j.journey_type = c.name
),

awaited as (
    -- the customer is awaited until he acts or somebody else is waited for
    select
        journey_id,
        place,
        t,
        lead(t) over journey as next_t,
        coalesce(last_value(
            case
                when waiting_for = 'customer' then true
                when waiting_for is not null or actor_type = 'customer' then false
            end ignore nulls
        ) over (
            partition by journey_id order by place
            rows between unbounded preceding and current row
        ), false) as stands
    from stepped
    window journey as (partition by journey_id order by place)
),

gaps as (
    select
        e.*,
        false as is_working,
        if(e.stands, 0, coalesce(e.next_t - e.t, 0)) as gap
    from awaited as e
    inner join begun as o on e.journey_id = o.journey_id and e.place >= o.start_place
    union all
    select
        e.*,
        true as is_working,
        if(e.stands, 0, coalesce(worked_us(o.owner, e.t, e.next_t), 0)) as gap
    from awaited as e
    inner join begun as o on e.journey_id = o.journey_id and e.place >= o.start_place
    where (select bool_or(is_working_time) from slas)
),

clocked as (
    select
        *,
        coalesce(sum(gap) over (
            partition by journey_id, is_working order by place
            rows between unbounded preceding and 1 preceding
        ), 0)::bigint as run
    from gaps
),

levels as (
    select
        o.*,
        s.sla,
        s.kind,
        coalesce(s.is_working_time, false) as is_working,
        (extract(epoch from s.due::interval) * 1000000)::bigint as span
    from begun as o
    inner join journey as j on o.journey_id = j.journey_id
    inner join slas as s
        on
            j.journey_type = s.journey_type
            and coalesce(epoch_us(s.valid_from) <= o.start_t, true)
            and coalesce(o.start_t < epoch_us(s.valid_to), true)
    where s.kind in ('response', 'resolution')
    qualify row_number() over (
        partition by o.journey_id, s.sla, s.kind order by s.valid_from desc nulls last, s.json asc
    ) = 1
),

running as (
    -- the last event at which the time of the level is not used up
    select
        v.journey_id,
        v.sla,
        v.kind,
        v.owner,
        v.is_working,
        c.stands,
        c.t,
        v.span - c.run as rest
    from levels as v
    inner join clocked as c
        on v.journey_id = c.journey_id and v.is_working = c.is_working and v.span > c.run
    qualify row_number() over (partition by v.journey_id, v.sla, v.kind order by c.place desc) = 1
),

dues as (
    select
        *,
        if(is_working, reached_t(owner, t, rest), t + rest) as some_due
    from running
),

answers as (
    select
        e.journey_id,
        min(e.place) as place
    from stepped as e
    inner join opening as o on e.journey_id = o.journey_id and e.place >= o.start_place
    where
        not e.is_pushed
        and (
            (e.direction = 'outbound' and e.actor_type not in ('customer', 'bot', 'system'))
            or (
                e.direction = 'inbound' and e.actor_type = 'human'
                and e.channel in ('phone', 'branch', 'visit', 'chat')
            )
        )
    group by e.journey_id
),

judged as (
    select
        v.*,
        if(d.stands, null, d.some_due) as due_t,
        d.some_due is not null as is_measured,
        m.t as met_t,
        if(d.some_due is not null, m.run, null) as elapsed,
        j.w,
        j.lateness,
        v.kind = 'response' or j.is_closed as is_settled
    from levels as v
    inner join journey as j on v.journey_id = j.journey_id
    inner join outcome as u on v.journey_id = u.journey_id
    inner join dues as d
        on v.journey_id = d.journey_id and v.sla = d.sla and v.kind = d.kind
    left join answers as a on v.journey_id = a.journey_id
    left join clocked as m
        on
            v.journey_id = m.journey_id and v.is_working = m.is_working
            and m.place = if(v.kind = 'response', a.place, u.held_place)
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
