-- purpose: what was given, asked, passed: observed in events, else declared by touchpoint_fields
-- grain:   one row per event and field and op (`field_use`); per step and field (`info_request`)
-- key:     step_id, field (`info_request`)
-- sources: stepped, step, touchpoint_fields, settings
create or replace table field_use as
with
observed as (
    select
        journey_id,
        step_id,
        seq,
        pos,
        t,
        coalesce(system_logged, owner_eff, channel) as system,
        'observed' as basis,
        unnest(info, recursive := true)
    from stepped
),

silent_steps as (
    select step_id from stepped
    group by step_id
    having not bool_or(len(coalesce(info, [])) > 0)
),

declared as (
    select
        s.journey_id,
        s.step_id,
        s.seq,
        s.pos,
        s.t,
        coalesce(s.system_logged, s.owner_eff, s.channel) as system,
        'declared' as basis,
        f.field,
        unnest(
            case f.op when 'asks' then ['asked', 'given'] when 'knows' then ['shown'] else ['passed'] end
        ) as op,
        null as value_hmac
    from stepped as s
    semi join silent_steps on silent_steps.step_id = s.step_id
    inner join touchpoint_fields as f
        on
            f.touchpoint = s.touchpoint
            and coalesce(f.valid_from <= s.time, true)
            and coalesce(s.time < f.valid_to, true)
    where s.pos = (select min(x.pos) from stepped as x where x.step_id = s.step_id)
),

united as (
    select * from observed
    union all by name
    select * from declared
)

select united.*
from united
cross join settings
where not list_contains(settings.volatile_fields, united.field);

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

earlier as (
    select
        a.step_id,
        a.field,
        a.pos,
        count(g.pos) > 0 as is_reask,
        arg_min(g.system, g.pos) as system_known,
        arg_min(g.step_id, g.pos) as known_step_id,
        arg_min(g.t, g.pos) as known_since,
        arg_min(g.basis, g.pos) as known_basis,
        arg_max(g.value_hmac, g.pos) as last_value
    from asks as a
    left join field_use as g
        on g.journey_id = a.journey_id and g.field = a.field and g.op = 'given' and g.pos < a.pos
    group by a.step_id, a.field, a.pos
)

select
    a.journey_id,
    a.step_id,
    a.field,
    a.seq,
    arg_min(a.system, a.pos) as system_asking,
    arg_min(a.t, a.pos) as occurred_t,
    bool_or(e.is_reask) as is_reask,
    arg_min(e.system_known, a.pos) as system_known,
    arg_min(e.known_step_id, a.pos) as known_step_id,
    arg_min(e.known_since, a.pos) as known_since,
    (
        -- the first answer in the step, against the last value before the ask
        select arg_min_null(g.value_hmac, g.pos) = arg_min_null(e.last_value, a.pos)
        from field_use as g
        where
            g.step_id = a.step_id and g.field = a.field and g.op = 'given' and g.pos >= min(a.pos)
    ) as value_agrees,
    case
        when bool_or(a.basis = 'declared' or coalesce(e.known_basis = 'declared', false)) then 'declared'
        else 'observed'
    end as basis
from asks as a
inner join earlier as e on e.step_id = a.step_id and e.field = a.field and e.pos = a.pos
group by a.journey_id, a.step_id, a.field, a.seq;
