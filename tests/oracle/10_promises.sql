-- purpose: what became of each promise
-- grain:   one row per promise of a customer that was made
-- key:     customer, promise_id
-- sources: stepped, journey, step, types, calendar, settings
create or replace table promised as
with recursive
said as (
    select
        s.customer,
        s.j,
        s.step,
        s.place,
        s.t,
        s.actor_type,
        s.promise,
        s.promise.id as promise_id,
        s.promise.op,
        coalesce(epoch_us(s.promise.due_time), epoch_us(
            (s.promise.due_date + 1)::timestamp at time zone coalesce(s.tz, (
                select c.tz from calendar as c
                where
                    c.owner is not distinct from hours_of(s.owner_eff)
                    and coalesce(s.time >= c.valid_from, true)
                    and coalesce(s.time < c.valid_to, true)
                order by c.valid_from desc nulls last, c.json asc
                limit 1
            ), 'UTC')
        ) - 1) as said_due
    from stepped as s
    where s.promise is not null and s.promise.id is not null
),

made as (
    select * from said
    where op = 'made'
    qualify row_number() over (partition by customer, promise_id order by place) = 1
),

words as (
    select
        s.*,
        s.op in ('moved', 'made') as is_move,
        if(s.op in ('moved', 'made'), s.said_due, null) as new_due,
        row_number() over (partition by s.customer, s.promise_id order by s.place) as nth
    from said as s
    inner join made as m
        on s.customer = m.customer and s.promise_id = m.promise_id and s.place > m.place
    where s.op in ('moved', 'made', 'delivered', 'cancelled')
),

-- word by word: a word after limit_t is no part of the promise; the first delivery or
-- cancellation settles it; a move by the due time in force, before that, gives it a new one
told as (
    select
        m.customer,
        m.promise_id,
        0::bigint as nth,
        m.said_due as due_t,
        coalesce(m.said_due, m.t) + s.give_up as limit_t,
        0 as n_moves,
        null::bigint as settled_by,
        m.t as last_t
    from made as m
    cross join settings as s
    union all
    select
        d.customer,
        d.promise_id,
        w.nth,
        if(
            d.settled_by is null and w.t <= least(d.due_t, d.limit_t),
            coalesce(w.new_due, d.due_t),
            d.due_t
        ) as due_t,
        if(
            d.settled_by is null and w.t <= least(d.due_t, d.limit_t),
            coalesce(w.new_due + s.give_up, d.limit_t),
            d.limit_t
        ) as limit_t,
        d.n_moves + (w.is_move and w.t <= d.limit_t)::int as n_moves,
        if(
            not w.is_move and w.t <= d.limit_t, coalesce(d.settled_by, w.nth), d.settled_by
        ) as settled_by,
        if(w.t <= d.limit_t, w.t, d.last_t) as last_t
    from told as d
    inner join words as w
        on d.customer = w.customer and d.promise_id = w.promise_id and w.nth = d.nth + 1
    cross join settings as s
),

due as (
    select * from told
    qualify row_number() over (partition by customer, promise_id order by nth desc) = 1
)

select
    m.customer,
    m.promise_id,
    m.j,
    m.step,
    m.promise.kind,
    m.promise.value,
    m.actor_type as made_by,
    coalesce(m.promise.owner, j.type_owner, c.owner, p.owner) as owner,
    m.t as made_t,
    d.due_t,
    greatest(d.limit_t, d.last_t) as last_change_t,
    d.n_moves,
    case when e.op = 'delivered' then e.t end as delivered_t,
    case
        when e.op = 'cancelled' and e.actor_type = 'customer' and coalesce(e.t <= d.due_t, true)
            then 'cancelled'
        when e.op = 'cancelled' then 'broken'
        when d.due_t is null and e.op = 'delivered'
            then if(coalesce(e.promise.value = m.promise.value, true), 'kept', 'broken')
        when d.due_t is null then 'open'
        when e.t <= d.due_t then 'kept'
        when e.t is not null then 'late'
        when coalesce(j.w > d.limit_t + j.lateness, false) then 'broken'
        when coalesce(j.w > d.due_t + j.lateness, false) then 'late'
        else 'open'
    end as status
from made as m
inner join due as d on m.customer = d.customer and m.promise_id = d.promise_id
inner join journey as j on m.j = j.j
inner join step as p on m.step = p.step
inner join types as c on j.journey_type = c.name
left join words as e
    on d.customer = e.customer and d.promise_id = e.promise_id and d.settled_by = e.nth;
