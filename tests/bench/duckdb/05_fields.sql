-- Purpose: fields asked, given, passed, and asked again. Grain: one field named by an event.
-- basis 0: observed in the event; 1: declared by `touchpoint_fields` of a silent step.
create temp table entries as
with observed as (
    select
        t.pos,
        t.j,
        t.step,
        unnest(e.info) as i
    from events as e
    inner join told as t on e.rowid = t.event
    where e.info is not null
),

silent as (
    select
        s.pos,
        s.j,
        s.step,
        s.touchpoint,
        s.time
    from steps as s
    where
        cast(s.touchpoint as varchar) in (select f.touchpoint from touchpoint_fields as f)
        and s.step not in (select o.step from observed as o)
),

named as (
    select
        o.pos,
        o.j,
        o.step,
        o.i.field as field, -- noqa: AL09
        o.i.op as op, -- noqa: AL09
        o.i.value_hmac as value,
        0 as basis
    from observed as o
    where o.i.op in ('given', 'asked', 'passed', 'shown') and o.i.field is not null
    union all
    select
        s.pos,
        s.j,
        s.step,
        f.field,
        case when f.op = 'asks' then 'given' else 'passed' end as op,
        null as value,
        1 as basis
    from silent as s
    inner join touchpoint_fields as f on cast(s.touchpoint as varchar) = f.touchpoint
    where
        coalesce(f.valid_from <= s.time, true) and coalesce(s.time < f.valid_to, true)
        and f.op in ('asks', 'knows', 'passes')
)

select
    pos,
    j,
    step,
    field,
    case when op = 'shown' then 'passed' else op end as op,
    value,
    basis
from named;

create temp table gives as
select
    j,
    field,
    min(pos) filter (where basis = 0) as first_observed,
    min(pos) as first_any
from entries
where op = 'given'
group by j, field;

create temp table known as
select
    e.*,
    g.first_observed,
    g.first_any,
    case
        when e.basis = 0 and g.first_observed < e.pos then g.first_observed
        when g.first_any < e.pos then g.first_any
    end as known_pos,
    case
        when e.basis = 0 and coalesce(g.first_observed >= e.pos, true) and g.first_any < e.pos
            then 1
        else e.basis
    end as known_basis
from entries as e
left join gives as g on e.j = g.j and e.field = g.field;

create temp table requests as
with grouped as (
    select
        step,
        field,
        any_value(j) as j,
        coalesce(min(pos) filter (where op = 'asked'), min(pos)) as pos,
        coalesce(
            min(pos) filter (where op = 'asked' and known_pos is not null),
            min(pos) filter (where op = 'asked'),
            min(pos) filter (where known_pos is not null),
            min(pos)
        ) as proof_pos,
        coalesce(bool_or(op = 'asked'), false) as is_asked,
        arg_min(known_pos, pos) filter (where op = 'asked') as asked_known_pos,
        arg_min(known_pos, pos) as given_known_pos,
        arg_min(known_basis, pos) filter (where op = 'asked' and known_pos is not null)
            as asked_basis,
        arg_min(known_basis, pos) filter (where known_pos is not null) as given_basis,
        any_value(basis) as basis
    from known
    where op in ('asked', 'given')
    group by step, field
)

select
    step,
    field,
    j,
    pos,
    proof_pos,
    case when is_asked then asked_known_pos else given_known_pos end as known_pos,
    coalesce(case when is_asked then asked_basis else given_basis end, basis) as basis
from grouped;

create temp table answers as
with valued as (
    select
        j,
        field,
        step,
        pos,
        value
    from entries
    where
        op = 'given' and value is not null
        and (
            j, field) in (
            select (r.j, r.field) from requests as r
            where r.known_pos is not null
        )
),

again as (
    select * from requests
    where known_pos is not null
),

earlier as (
    select
        a.step,
        a.field,
        a.j,
        a.proof_pos,
        v.value
    from again as a
    asof inner join valued as v on a.j = v.j and a.field = v.field and a.proof_pos > v.pos
)

select
    e.step,
    e.field,
    e.value = v.value as agrees
from earlier as e
asof inner join valued as v on e.j = v.j and e.field = v.field and e.proof_pos <= v.pos
where v.step = e.step;
