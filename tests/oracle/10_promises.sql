-- purpose: what became of each promise
-- grain:   one row per promise of a customer that was made
-- key:     customer_key, promise_id
-- sources: stepped, journey, settings
create or replace table promised as
with recursive
said as (
    select
        s.*,
        s.promise.id as promise_id,
        s.promise.op,
        epoch_us(s.promise.due_time) as said_due
    from stepped as s
    where s.promise is not null and s.promise.id is not null
),

made as (
    select * from said
    where op = 'made'
    qualify row_number() over (partition by customer_key, promise_id order by place) = 1
),

ending as (
    -- the first delivery or cancellation after it was made settles the promise
    select s.*
    from said as s
    inner join made as m
        on s.customer_key = m.customer_key and s.promise_id = m.promise_id and s.place > m.place
    where s.op in ('delivered', 'cancelled')
    qualify row_number() over (partition by s.customer_key, s.promise_id order by s.place) = 1
),

moves as (
    select
        s.customer_key,
        s.promise_id,
        s.t,
        s.said_due,
        coalesce(s.place < e.place, true) as is_in_time,
        row_number() over (partition by s.customer_key, s.promise_id order by s.place) as n
    from said as s
    inner join made as m
        on s.customer_key = m.customer_key and s.promise_id = m.promise_id and s.place > m.place
    left join ending as e on s.customer_key = e.customer_key and s.promise_id = e.promise_id
    where s.op in ('moved', 'made')
),

dues as (
    select
        customer_key,
        promise_id,
        0::bigint as n,
        said_due as due
    from made
    union all
    select
        d.customer_key,
        d.promise_id,
        m.n,
        if(
            m.is_in_time and m.said_due is not null and coalesce(m.t <= d.due, true),
            m.said_due,
            d.due
        ) as due
    from dues as d
    inner join moves as m
        on d.customer_key = m.customer_key and d.promise_id = m.promise_id and m.n = d.n + 1
),

due as (
    select
        customer_key,
        promise_id,
        max(n)::int as n_moves,
        arg_max_null(due, n) as due_t
    from dues
    group by customer_key, promise_id
)

select
    m.customer_key,
    m.promise_id,
    m.journey_id,
    m.step_id,
    m.promise.kind,
    m.promise.value,
    m.actor_type as made_by,
    p.owner,
    m.t as made_t,
    d.due_t,
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
        when e.t <= d.due_t + s.give_up then 'late'
        when e.t is not null then 'broken'
        when coalesce(j.w > d.due_t + s.give_up + j.lateness, false) then 'broken'
        when coalesce(j.w > d.due_t + j.lateness, false) then 'late'
        else 'open'
    end as status
from made as m
inner join due as d on m.customer_key = d.customer_key and m.promise_id = d.promise_id
inner join journey as j on m.journey_id = j.journey_id
inner join step as p on m.step_id = p.step_id
cross join settings as s
left join ending as e on m.customer_key = e.customer_key and m.promise_id = e.promise_id;
