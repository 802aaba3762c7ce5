-- purpose: pieces of friction of a company that wants to sell: upsell_in_problem, over_pressure
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: stepped, journey, types, session, settings
insert into piece by name
with
before as (
    select
        u.place,
        bool_or(b.direction = 'inbound') as is_after_inbound,
        max(b.place) filter (where b.is_end) as last_end,
        max(b.place) filter (where b.outcome in (
            'unresolved', 'partly', 'error', 'no_result', 'abandoned', 'escalated'
        )) as last_open
    from stepped as u
    inner join stepped as b on u.j = b.j and u.place > b.place
    where u.message_kind = 'upsell'
    group by u.place
),

upsells as (
    select
        u.j,
        u.step,
        u.place,
        u.t,
        u.is_end,
        c.is_problem,
        coalesce(b.is_after_inbound, false) as is_after_inbound,
        coalesce(b.last_end, -1) as last_end,
        coalesce(b.last_open, -1) as last_open,
        coalesce(list_contains(s.quick_intents, v.intent), false) as is_against_quick_need
    from stepped as u
    left join before as b on u.place = b.place
    inner join journey as j on u.j = j.j
    inner join types as c on j.journey_type = c.name
    inner join session as v on u.session = v.session
    cross join settings as s
    where u.message_kind = 'upsell'
)

select
    j,
    step,
    null as prev_step,
    'upsell_in_problem' as kind,
    t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', place) as detail
from upsells
where
    (is_after_inbound and last_end = -1 and not is_end)
    or (is_problem and last_end = -1)
    or last_open > last_end
    or is_against_quick_need;

insert into piece by name
with
units as (
    select
        customer,
        j,
        step,
        place,
        t
    from stepped
    where
        direction = 'outbound' and message_kind is not null
        and coalesce(relevance_basis = 'none', true)
    qualify
        message_id is null
        or row_number() over (partition by customer, message_id order by place) = 1
),

counted as (
    select
        u.j,
        u.step,
        u.place,
        u.t,
        s.pressure_cap,
        count(*) as n
    from units as u
    cross join settings as s
    inner join units as o
        on u.customer = o.customer and u.t >= o.t and o.t > u.t - s.pressure_window
    group by u.j, u.step, u.place, u.t, s.pressure_cap
)

select
    j,
    step,
    null as prev_step,
    'over_pressure' as kind,
    t as occurred_t,
    n / pressure_cap - 1 as x,
    1 - exp(-(n / pressure_cap - 1)) as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', place) as detail
from counted
where n > pressure_cap;
