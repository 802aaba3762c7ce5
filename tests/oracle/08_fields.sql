-- purpose: what was given, asked, passed: observed in events, else declared by touchpoint_fields,
--          else inferred from question activities that come again
-- grain:   one row per event and field and op (`field_use`); per step and field (`info_request`)
-- key:     step, field (`info_request`)
-- sources: stepped, step, touchpoint_fields, settings
create or replace table field_use as
with
observed as (
    select
        e.j,
        e.step,
        e.pos,
        e.t,
        coalesce(e.system_logged, e.owner_eff, e.channel) as system,
        0 as basis,
        unnest(e.info, recursive := true)  -- noqa: AL03
    from stepped as e
    where len(e.info) > 0
),

-- steps in which nothing is logged speak by what is declared of their first event
silent as (
    select
        e.j,
        e.step,
        e.pos,
        e.t,
        e.time,
        e.touchpoint,
        coalesce(e.system_logged, e.owner_eff, e.channel) as system
    from stepped as e
    where
        e.begins_step and e.touchpoint in (select f.touchpoint from touchpoint_fields as f)
        and e.step not in (select o.step from observed as o)
),

declared as (
    select
        p.* exclude (time, touchpoint),
        1 as basis,
        f.field,
        unnest(
            case f.op when 'asks' then ['given'] when 'knows' then ['shown'] else ['passed'] end
        ) as op,
        null as value_hmac
    from silent as p
    inner join touchpoint_fields as f
        on
            p.touchpoint = f.touchpoint
            and coalesce(p.time >= f.valid_from, true)
            and coalesce(p.time < f.valid_to, true)
),

inferred as (
    select
        e.j,
        e.step,
        e.pos,
        e.t,
        coalesce(e.system_logged, e.owner_eff, e.channel) as system,
        2 as basis,
        e.activity as field,
        'given' as op,
        null as value_hmac
    from stepped as e
    where
        e.activity in (select unnest(s.question_activities) from settings as s)
        and e.step not in (select o.step from observed as o)
        and e.step not in (select d.step from declared as d)
),

united as (
    select * from observed
    union all by name
    select * from declared
    union all by name
    select * from inferred
)

select *
from united
where
    field is not null
    and field not in (select unnest(s.volatile_fields) from settings as s);

-- the first time that a field is given, by what tells of it
create or replace table gift as
select
    j,
    field,
    basis,
    min(pos) as pos,
    min(step) as step,
    arg_min(system, pos) as system,
    arg_min(t, pos) as t
from field_use
where op = 'given'
group by j, field, basis;

create or replace table info_request as
with
named as (
    select distinct
        step,
        field
    from field_use
    where op in ('asked', 'verify')
),

asks as (
    select a.*
    from field_use as a
    left join named as b on a.step = b.step and a.field = b.field
    where a.op = 'asked' or (a.op = 'given' and b.step is null)
),

-- who had it: an observed ask looks at observed gifts before it looks at declared ones; an
-- inferred one only at inferred ones of an earlier step
known as (
    select
        a.j,
        a.step,
        a.field,
        a.pos,
        a.system as system_asking,
        a.t as asked_t,
        case
            when a.basis = 2 then if(g2.step < a.step, g2, null)
            when g0.pos < a.pos and (a.basis = 0 or coalesce(g0.pos < g1.pos, true)) then g0
            when g1.pos < a.pos then g1
        end as gift,
        a.basis
    from asks as a
    left join gift as g0 on a.j = g0.j and a.field = g0.field and g0.basis = 0
    left join gift as g1 on a.j = g1.j and a.field = g1.field and g1.basis = 1
    left join gift as g2 on a.j = g2.j and a.field = g2.field and g2.basis = 2
),

folded as (
    select
        any_value(k.j) as j,
        k.step,
        k.field,
        bool_or(k.gift is not null) as is_reask,
        arg_min(k.system_asking, k.pos) as system_asking,
        min(k.asked_t) as occurred_t,
        arg_min(k.gift.system, k.pos) as system_known,
        arg_min(k.gift.step, k.pos) as known_step,
        arg_min(k.gift.t, k.pos) as known_since,
        arg_min(
            greatest(k.basis, coalesce(k.gift.basis, 0)), ((k.gift is null)::bigint << 40) + k.pos
        ) as basis_code,
        arg_min(k.pos, ((k.gift is null)::bigint << 40) + k.pos) as proof_pos,
        arg_min(k.gift.pos, ((k.gift is null)::bigint << 40) + k.pos) as known_pos,
        min(k.pos) as ask_pos
    from known as k
    group by k.step, k.field
),

-- the first answer in the step against the last value before the ask
answered as (
    select
        f.step,
        f.field,
        arg_min(g.value_hmac, g.pos) filter (where g.step = f.step and g.pos >= f.proof_pos)
        = arg_max(g.value_hmac, g.pos) filter (where g.pos < f.proof_pos) as value_agrees
    from folded as f
    inner join field_use as g on f.j = g.j and f.field = g.field
    where
        g.op = 'given' and g.value_hmac is not null
        and (g.pos < f.proof_pos or g.step = f.step)
    group by f.step, f.field
)

select
    f.*,
    ['observed', 'declared', 'inferred'][f.basis_code + 1] as basis,
    a.value_agrees
from folded as f
left join answered as a on f.step = a.step and f.field = a.field;
