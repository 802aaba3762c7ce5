-- Purpose: evidence of the kinds that are no launch kinds. Grain: one piece.
-- The log has no claims, no lifecycle, no error codes, counts of results or ids of messages.
create temp table later_kinds as
with unpushed as (
    select
        j,
        step
    from steps
    where not is_pushed
),

passed as (
    select
        t.pos,
        t.step,
        t.us,
        t.outcome = 'escalated' as is_escalated,
        s.step as next_step
    from told as t
    asof left join unpushed as s
        on t.j = s.j and t.step < s.step
    where
        coalesce(t.outcome in ('transferred', 'escalated'), false)
        or (t.to_owner is not null and t.direction != 'internal')
)

select
    case when is_escalated then 'escalation' else 'transfer' end as kind,
    coalesce(next_step, step) as step,
    step as previous,
    pos,
    null::bigint as earlier_pos,
    us,
    1.0::double as raw,
    null::double as expected,
    case when is_escalated then 0.20 else 0.10 end::double as weight,
    1.0::double as intensity,
    null::varchar as detail
from passed;

insert into later_kinds
with given as (
    select
        pos,
        step,
        field,
        value,
        lag(value) over field_values as last_value,
        lag(step) over field_values as last_step,
        lag(pos) over field_values as last_pos
    from entries
    where op = 'given' and value is not null and basis = 0
    window field_values as (partition by j, field order by pos)
)

select
    'info_conflict' as kind,
    g.step,
    g.last_step as previous,
    g.pos,
    g.last_pos as earlier_pos,
    t.us,
    1 as raw,
    null as expected,
    0.30 as weight,
    1 as intensity,
    g.field as detail
from given as g
inner join told as t on g.pos = t.pos
where g.value != g.last_value and g.step != g.last_step;

insert into later_kinds
with inbound as (
    select * from contacts
    where is_contact and direction = 'inbound'
),

stuck as (
    select * from inbound
    where outcome in ('error', 'no_result', 'abandoned')
),

nexts as (
    select
        s.session_pos,
        arg_min(n.channel, n.session_pos) as channel
    from stuck as s
    inner join inbound as n on s.j = n.j
    where n.session_pos > s.session_pos and coalesce(n.intent = s.intent, true)
    group by s.session_pos
),

failures as (
    select
        session_pos,
        max(pos) as pos
    from told
    where outcome is not null and session_pos in (select s.session_pos from stuck as s)
    group by session_pos
)

select
    'dead_end' as kind,
    t.step,
    null as previous,
    t.pos,
    null as earlier_pos,
    t.us,
    1 as raw,
    null as expected,
    0.30 as weight,
    1 as intensity,
    null as detail
from stuck as s
inner join closing as c on s.j = c.j
inner join failures as f on s.session_pos = f.session_pos
inner join told as t on f.pos = t.pos
left join nexts as n on s.session_pos = n.session_pos
where coalesce(n.channel != s.channel, c.is_closed);

insert into later_kinds
with failures as (
    select
        session_pos,
        max(pos) as pos
    from told
    where
        outcome is not null and session_pos in (
            select c.session_pos from contacts as c
            where
                c.is_contact and c.outcome = 'abandoned' and coalesce(c.wait_s >= 10, true)
        )
    group by session_pos
)

select
    'abandonment' as kind,
    t.step,
    null as previous,
    t.pos,
    null as earlier_pos,
    t.us,
    1 as raw,
    null as expected,
    0.35 as weight,
    1 as intensity,
    null as detail
from failures as f
inner join told as t on f.pos = t.pos;

insert into later_kinds
select
    'self_rescue' as kind,
    f.step,
    coalesce(o.step, f.last_step) as previous,
    f.pos,
    coalesce(o.last_pos, f.last_pos) as earlier_pos,
    f.us,
    1 as raw,
    null as expected,
    0.15 as weight,
    1 as intensity,
    null as detail
from rescues as f
left join stood as o on f.earlier = o.earlier and f.pos = o.pos;

insert into later_kinds
with late as (
    select
        r.step,
        a.received_pos as pos,
        a.pos as earlier_pos,
        r.us,
        (a.due - a.us) / 1000000 as expected,
        (r.us - a.due) / greatest(a.due - a.us, 1000000) as excess
    from asked as a
    inner join told as r on a.received_pos = r.pos
    where r.us > a.due
)

select
    'internal_wait' as kind,
    step,
    null as previous,
    pos,
    earlier_pos,
    us,
    excess as raw,
    expected,
    0.20 as weight,
    1 - exp(-excess) as intensity,
    null as detail
from late;

insert into later_kinds
with repeated as (
    select
        j,
        activity
    from told
    where direction = 'internal'
    group by j, activity
    having count(*) > 1
),

done as (
    select
        t.j,
        t.pos,
        row_number() over (partition by t.j, t.activity order by t.pos) > 1 as is_again
    from told as t
    inner join repeated as r on t.j = r.j and t.activity = r.activity
    where t.direction = 'internal'
),

firsts as (
    select
        min(pos) as pos,
        count(*)::double as n
    from done
    where is_again
    group by j
)

select
    'rework' as kind,
    t.step,
    null as previous,
    t.pos,
    null as earlier_pos,
    t.us,
    f.n as raw,
    null as expected,
    0.10 as weight,
    1 - exp(-f.n / 3) as intensity,
    null as detail
from firsts as f
inner join told as t on f.pos = t.pos;

insert into later_kinds
with upsells as (
    select
        u.pos,
        any_value(u.is_end) as is_end,
        bool_or(b.direction = 'inbound') as is_asked,
        max(b.pos) filter (where b.is_end) as last_end,
        max(b.pos) filter (where b.outcome in (
            'unresolved', 'partly', 'error', 'no_result', 'abandoned', 'escalated'
        )) as last_open
    from told as u
    left join told as b on u.j = b.j and u.pos > b.pos
    where u.is_upsell
    group by u.pos
)

select
    'upsell_in_problem' as kind,
    t.step,
    null as previous,
    t.pos,
    null as earlier_pos,
    t.us,
    1 as raw,
    null as expected,
    0.25 as weight,
    1 as intensity,
    null as detail
from upsells as u
inner join told as t on u.pos = t.pos
inner join types as y on t.kind = y.kind
where
    (u.last_end is null and u.is_asked and not u.is_end)
    or (u.last_end is null and y.is_problem)
    or u.last_open > coalesce(u.last_end, -1);

insert into later_kinds
with units as (
    select
        pos,
        step,
        us,
        count(*) over (
            partition by customer order by us
            range between 604799999999 preceding and current row
        ) as n
    from told
    where is_unasked
)

select
    'over_pressure' as kind,
    step,
    null as previous,
    pos,
    null as earlier_pos,
    us,
    n / 3 - 1 as raw,
    3 as expected,
    0.15 as weight,
    1 - exp(-(n / 3 - 1)) as intensity,
    null as detail
from units
where n > 3;
