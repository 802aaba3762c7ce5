-- purpose: what was given, asked, passed: observed in events, else declared by touchpoint_fields,
--          else inferred from question activities that come again
-- grain:   one row per event and field and op (`field_use`); per step and field (`info_request`)
-- key:     step_id, field (`info_request`)
-- sources: stepped, step, touchpoint_fields, settings
create or replace table field_use as
with
placed as (
    select
        journey_id,
        step_id,
        seq,
        pos,
        t,
        time,
        touchpoint,
        activity,
        info,
        coalesce(system_logged, owner_eff, channel) as system,
        min(pos) over (partition by step_id) as step_pos,
        bool_or(len(coalesce(info, [])) > 0) over (partition by step_id) as is_logged
    from stepped
),

observed as (
    select
        * exclude (info),
        0 as basis,
        unnest(info, recursive := true)  -- noqa: AL03
    from placed
),

declared as (
    select
        p.* exclude (info),
        1 as basis,
        f.field,
        unnest(
            case f.op when 'asks' then ['given'] when 'knows' then ['shown'] else ['passed'] end
        ) as op,
        null as value_hmac
    from placed as p
    inner join touchpoint_fields as f
        on
            p.touchpoint = f.touchpoint
            and coalesce(p.time >= f.valid_from, true)
            and coalesce(p.time < f.valid_to, true)
    where p.pos = p.step_pos and not p.is_logged
),

inferred as (
    select
        p.* exclude (info),
        2 as basis,
        p.activity as field,
        'given' as op,
        null as value_hmac
    from placed as p
    anti join declared on p.step_id = declared.step_id
    cross join settings as s
    where not p.is_logged and list_contains(s.question_activities, p.activity)
),

united as (
    select * from observed
    union all by name
    select * from declared
    union all by name
    select * from inferred
)

select united.*
from united
cross join settings
where united.field is not null and not list_contains(settings.volatile_fields, united.field);

create or replace table info_request as
with
asks as (
    select a.*
    from field_use as a
    where
        a.op = 'asked'
        or (
            a.op = 'given'
            and not exists (
                select 1 from field_use as b
                where b.step_id = a.step_id and b.field = a.field and b.op in ('asked', 'verify')
            )
        )
),

-- who had it: an observed ask looks at observed gifts before it looks at declared ones; an
-- inferred one only at inferred ones of an earlier step
known as (
    select
        a.step_id,
        a.field,
        a.pos,
        a.basis,
        a.system as system_asking,
        a.t as asked_t,
        g.pos as known_pos,
        g.pos is not null as is_reask,
        g.system as system_known,
        g.step_id as known_step_id,
        g.t as known_since,
        greatest(a.basis, coalesce(g.basis, 0)) as ask_basis
    from asks as a
    left join field_use as g
        on
            a.journey_id = g.journey_id and a.field = g.field and g.op = 'given'
            and if(a.basis = 2, g.basis = 2 and a.step_pos > g.pos, g.basis < 2 and a.pos > g.pos)
    qualify row_number() over (
        partition by a.step_id, a.field, a.pos, a.op, a.basis
        order by if(a.basis = 0, g.basis, 0), g.pos
    ) = 1
),

folded as (
    select
        step_id,
        field,
        bool_or(is_reask) as is_reask,
        arg_min(system_asking, pos) as system_asking,
        min(asked_t) as occurred_t,
        arg_min(system_known, pos) as system_known,
        arg_min(known_step_id, pos) as known_step_id,
        arg_min(known_since, pos) as known_since,
        arg_min(ask_basis, (not is_reask, pos)) as basis_code,
        arg_min(pos, (not is_reask, pos)) as proof_pos,
        arg_min(known_pos, (not is_reask, pos)) as known_pos,
        min(pos) as ask_pos
    from known
    group by step_id, field
)

select
    f.*,
    s.journey_id,
    s.seq,
    ['observed', 'declared', 'inferred'][f.basis_code + 1] as basis,
    (
        -- the first answer in the step against the last value before the ask
        select
            arg_min(g.value_hmac, g.pos) filter (
                where g.step_id = f.step_id and g.pos >= f.proof_pos
            )
            = arg_max(g.value_hmac, g.pos) filter (where g.pos < f.proof_pos)
        from field_use as g
        where g.journey_id = s.journey_id and g.field = f.field and g.op = 'given'
    ) as value_agrees
from folded as f
inner join step as s on f.step_id = s.step_id;
