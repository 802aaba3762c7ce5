-- purpose: pieces of friction of work passed on: transfer, escalation, ping_pong
-- grain:   one row per piece
-- key:     step_id, kind, detail
-- sources: stepped, step, handoff_step, handoff
create or replace table rise as
select
    s.journey_id,
    s.step_id,
    s.giver.step_id as giver_id,
    s.first_t,
    s.first_place as place
from handoff_step as s
where
    s.giver is not null and s.tier > s.giver.tier and s.team <> s.giver.team
    and not (
        coalesce(s.giver.touchpoint = s.touchpoint, false)
        and s.is_team_from_place and s.giver.is_team_from_place
    )
    and not coalesce(s.giver.employee = s.employee, false);

insert into piece by name
with
passed as (
    select
        *,
        if(
            coalesce(outcome = 'escalated', false)
            or step_id in (select rise.giver_id from rise),
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
        p.*,
        (
            select arg_min(n.step_id, n.seq) from step as n
            where n.journey_id = p.journey_id and n.seq > p.seq and not n.is_pushed
        ) as next_step_id
    from passed as p
)

select
    journey_id,
    coalesce(next_step_id, step_id) as step_id,
    step_id as prev_step_id,
    kind,
    t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', place) as detail,
    place as proof_place
from onward
union all by name
select
    r.journey_id,
    r.step_id,
    r.giver_id as prev_step_id,
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
    r.giver_id not in (
        select onward.step_id from onward
        where onward.kind = 'escalation'
    );

insert into piece by name
select
    handoff.journey_id,
    handoff.step_id,
    handoff.giver.step_id as prev_step_id,
    'ping_pong' as kind,
    handoff.first_t as occurred_t,
    1.0 as x,
    1.0 as g,
    handoff.ping_pong_confidence as confidence,
    'observed' as basis,
    '' as detail
from handoff
where handoff.is_ping_pong;
