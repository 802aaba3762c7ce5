-- purpose: pieces of friction of work passed on: transfer, escalation, ping_pong
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: stepped, step, handoff_step, handoff
create or replace table rise as
select
    s.j,
    s.step,
    g.step as giver,
    s.first_t,
    s.first_place as place
from handoff_step as h
inner join step as s on h.step = s.step
inner join step as g on h.giver = g.step
where
    s.tier > g.tier and s.team <> g.team
    and not (
        coalesce(g.touchpoint = s.touchpoint, false)
        and s.is_team_from_place and g.is_team_from_place
    )
    and not coalesce(g.employee = s.employee, false);

insert into piece by name
with
passed as (
    select
        j,
        step,
        place,
        t,
        if(
            coalesce(outcome = 'escalated', false)
            or step in (select rise.giver from rise),
            'escalation',
            'transfer'
        ) as kind
    from stepped
    where
        outcome in ('transferred', 'escalated')
        or (direction <> 'internal' and (to_owner is not null or to_team is not null))
),

onward as (
    select
        p.place,
        min(n.step) as next_step
    from passed as p
    inner join step as n on p.j = n.j and p.step < n.step
    where not n.is_pushed
    group by p.place
)

select
    p.j,
    coalesce(o.next_step, p.step) as step,
    p.step as prev_step,
    p.kind,
    p.t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', p.place) as detail,
    p.place as proof_place
from passed as p
left join onward as o on p.place = o.place
union all by name
select
    r.j,
    r.step,
    r.giver as prev_step,
    'escalation' as kind,
    r.first_t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d} rise', r.place) as detail,  -- after an event of the same place
    null as proof_place
from rise as r
where
    r.giver not in (
        select passed.step from passed
        where passed.kind = 'escalation'
    );

insert into piece by name
select
    handoff.j,
    handoff.step,
    handoff.giver as prev_step,
    'ping_pong' as kind,
    s.first_t as occurred_t,
    1.0 as x,
    1.0 as g,
    handoff.ping_pong_confidence as confidence,
    'observed' as basis,
    '' as detail
from handoff
inner join step as s on handoff.step = s.step
where handoff.is_ping_pong;
