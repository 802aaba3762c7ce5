-- purpose: hand-offs seen between steps, with the context that went over; hand-offs asked for
-- grain:   one row per hand-off
-- key:     to_step (`handoff`); place of the request (`handoff_asked`)
-- sources: step, stepped, field_use, info_request, types, journey, slas, settings
create or replace table handoff_step as
with
owned as (
    select
        j,
        seq,
        first_place,
        owner,
        direction,
        asks_handoff,
        lag(owner) over journey as owner_before,
        lead(owner) over journey as owner_after
    from step
    where owner is not null and not is_pushed
    window journey as (partition by j order by seq)
),

neighbours as (
    select
        first_place,
        lag(first_place) over journey as giver_place,
        coalesce(owner <> lag(owner) over journey, true) as begins_run,
        j,
        seq
    from owned
    -- consultations go: internal, nothing handed over, between two steps of one other owner
    where
        not (
            direction = 'internal' and not asks_handoff
            and coalesce(owner_before = owner_after, false) and owner <> owner_before
        )
    window journey as (partition by j order by seq)
),

runs as (
    select
        first_place,
        giver_place,
        begins_run,
        sum(begins_run::int) over (partition by j order by seq) as run
    from neighbours
)

select
    s.* exclude (event_ids),
    r.begins_run,
    r.run,
    if(g.step_id is null, null, struct_pack(
        step_id := g.step_id, owner := g.owner, team := g.team, channel := g.channel,
        touchpoint := g.touchpoint, is_owner_from_table := g.is_owner_from_table,
        is_team_from_place := g.is_team_from_place, tier := g.tier, employee := g.employee,
        last_t := g.last_t
    )) as giver
from runs as r
inner join step as s on r.first_place = s.first_place
left join step as g on r.giver_place = g.first_place;

create or replace table handoff as
with runs as (
    select
        j,
        run,
        any_value(owner) as owner,
        arg_max(outcome, seq) as outcome,
        bool_or(is_worked) as is_worked
    from handoff_step
    group by j, run
),

seen as (
    select
        s.*,
        s.begins_run and coalesce(b.owner = s.owner, false)
        and coalesce(
            m.outcome not in ('resolved', 'sold', 'informed', 'partly'),
            m.is_worked and w.is_worked
        )
            as is_ping_pong,
        if(m.outcome is null, 0.5, 1.0) as ping_pong_confidence
    from handoff_step as s
    left join runs as m on s.j = m.j and m.run = s.run - 1
    left join runs as b on s.j = b.j and b.run = s.run - 2
    inner join runs as w on s.j = w.j and s.run = w.run
    where
        s.giver is not null
        and (
            s.giver.owner <> s.owner
            or coalesce(s.giver.team <> s.team, false)
        )
        and not (
            coalesce(s.giver.touchpoint = s.touchpoint, false)
            and s.is_owner_from_table and s.giver.is_owner_from_table
        )
),

l as (select unnest([0, 1]) as level),

levels as (
    select
        s.step_id,
        l.level,
        list_distinct(list(k.field) filter (where k.op = 'given' and k.seq < s.seq)) as known,
        list_distinct(list(k.field) filter (
            where k.op in ('passed', 'shown') and k.step_id in (s.step_id, s.giver.step_id)
        )) as passed
    from seen as s
    cross join l
    left join field_use as k on s.journey_id = k.journey_id and l.level >= k.basis
    group by s.step_id, l.level
),

counted as (
    select
        step_id,
        level,
        len(coalesce(known, [])) as n_known,
        len(list_intersect(coalesce(known, []), coalesce(passed, []))) as n_passed,
        len(coalesce(passed, [])) > 0 as logs_passing,
        (
            select count(distinct k.field)
            from field_use as k
            where
                k.step_id = levels.step_id and k.basis <= levels.level
                and k.op in ('asked', 'given') and list_contains(levels.known, k.field)
                and not exists (
                    -- an answer to a question that verifies identity is no re-ask
                    select 1 from field_use as v
                    where
                        k.op = 'given' and v.step_id = k.step_id and v.field = k.field
                        and v.op = 'verify'
                )
        ) as n_reasked
    from levels
),

measured as (
    select
        *,
        n_known > 0 and (logs_passing or n_reasked > 0) as is_measured
    from counted
),

chosen as (
    -- observed where that is measured or nothing is; declared only where it alone is measured
    select
        *,
        bool_or(is_measured) over (partition by step_id) as has_context
    from measured
    qualify row_number() over (partition by step_id order by not is_measured, level) = 1
)

select
    s.*,
    c.n_known,
    c.n_passed,
    c.n_reasked,
    c.level = 1 as is_declared,
    case
        when not c.has_context then 'unknown'
        when c.n_passed = 0 then 'none'
        when c.n_passed < c.n_known then 'part'
        else 'full'
    end as context
from seen as s
inner join chosen as c on s.step_id = c.step_id;

create or replace table handoff_asked as
with
agreed as (
    select
        e.place,
        coalesce(s.is_working_time, false) as is_working,
        (extract(epoch from s.due::interval) * 1000000)::bigint as span
    from stepped as e
    inner join journey as j on e.journey_id = j.journey_id
    inner join slas as s
        on
            s.kind = 'handoff' and j.journey_type = s.journey_type
            and (s.to_owner is null or e.to_owner = s.to_owner)
            and coalesce(epoch_us(s.valid_from) <= e.t, true)
            and coalesce(e.t < epoch_us(s.valid_to), true)
    where e.to_owner is not null or e.to_team is not null
    qualify row_number() over (
        partition by e.place
        order by s.to_owner is null asc, s.valid_from desc nulls last, s.json asc
    ) = 1
),

asked as (
    select
        e.*,
        coalesce(
            if(a.is_working, reached_t(e.to_owner, e.t, a.span), e.t + a.span),
            e.t + c.handoff_due
        ) as due_t
    from stepped as e
    inner join journey as j on e.journey_id = j.journey_id
    inner join types as c on j.journey_type = c.name
    left join agreed as a on e.place = a.place
    where e.to_owner is not null or e.to_team is not null
)

select
    a.*,
    r.step_id as received_step,
    r.t as received_t,
    r.place as received_place,
    case
        when r.place is not null then false
        when coalesce(j.w > a.due_t + j.lateness, false) then true
    end as is_dropped
from asked as a
inner join journey as j on a.journey_id = j.journey_id
left join stepped as r
    on
        r.place = (
            select min(x.place) from stepped as x
            where
                x.journey_id = a.journey_id and x.place > a.place
                and (
                    coalesce(x.owner_eff = a.to_owner, false)
                    or coalesce(x.team_eff = a.to_team, false)
                )
                and x.actor_type <> 'customer'
                and (
                    x.direction <> 'inbound' or x.session_id = a.session_id
                    or x.actor_type = 'human'
                )
        );
