-- Purpose: promises and their fate. Grain: one promise of a customer.
-- The log moves no promise: `n_moves` is counted, the due time in force is that of `made`. What
-- comes after the give-up that follows it (without one, the making) is no part of the promise.
create temp table promises as
with said as (
    select
        t.customer,
        t.pos,
        t.j,
        t.step,
        t.us,
        t.id as event_id,
        t.actor_type,
        t.owner,
        e.promise.id as promise_id,
        e.promise.kind,
        e.promise.op,
        epoch_us(e.promise.due_time) as due
    from events as e
    inner join told as t on e.rowid = t.event
    where e.promise is not null
),

made as (
    select
        customer,
        promise_id,
        arg_min(
            struct_pack(
                pos := pos, j := j, step := step, us := us, event_id := event_id,
                actor_type := actor_type, owner := owner, kind := kind, due := due
            ),
            (us, event_id)
        ) as m
    from said
    where op = 'made'
    group by customer, promise_id
),

closed as (
    select
        s.customer,
        s.promise_id,
        count(*) filter (where s.op in ('moved', 'made')) as n_moves,
        arg_min(
            struct_pack(pos := s.pos, us := s.us, op := s.op, actor_type := s.actor_type),
            (s.us, s.event_id)
        ) filter (where s.op in ('delivered', 'cancelled')) as d
    from said as s
    inner join made as m on s.customer = m.customer and s.promise_id = m.promise_id
    where
        (s.us, s.event_id) > (m.m.us, m.m.event_id)
        and s.us <= coalesce(m.m.due, m.m.us) + 30 * 86400000000
    group by s.customer, s.promise_id
),

frontier as (
    select epoch_us(frontier) - 86400000000 as passed from found_texts
)

select
    m.customer,
    m.promise_id,
    m.m.pos,
    m.m.j,
    m.m.step,
    m.m.us,
    m.m.due,
    m.m.kind,
    m.m.actor_type as made_by,
    coalesce(t.owner, cast(m.m.owner as varchar)) as owner,
    coalesce(c.n_moves, 0) as n_moves,
    case when c.d.op = 'delivered' then c.d.us end as delivered_us,
    case when c.d.op = 'delivered' then c.d.pos end as delivered_pos,
    case
        when c.d.op = 'cancelled'
            then
                case
                    when c.d.actor_type = 'customer' and coalesce(c.d.us <= m.m.due, true)
                        then 'cancelled'
                    else 'broken'
                end
        when c.d.op = 'delivered'
            then
                case when coalesce(c.d.us <= m.m.due, true) then 'kept' else 'late' end
        when m.m.due + 30 * 86400000000 < f.passed then 'broken'
        when m.m.due < f.passed then 'late'
        else 'open'
    end as status
from made as m
left join closed as c on m.customer = c.customer and m.promise_id = c.promise_id
inner join of_events as e on m.m.j = e.j
inner join types as t on e.kind = t.kind
cross join frontier as f;
