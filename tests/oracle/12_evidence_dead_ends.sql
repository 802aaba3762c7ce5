-- purpose: pieces of friction of contacts that lead nowhere: dead_end, abandonment, self_rescue
-- grain:   one row per piece
-- key:     step_id, kind, detail
-- sources: stepped, session, journey, settings
insert into piece by name
with
telling as (
    select
        session_id,
        step_id,
        t,
        case
            when outcome is not null then outcome in ('error', 'no_result', 'abandoned')
            else true
        end as has_failed
    from stepped
    where outcome is not null or error_code is not null or results_n = 0
    qualify row_number() over (partition by session_id order by pos desc) = 1
),

inbound as (
    select *
    from session
    where is_contact and direction = 'inbound'
),

stuck as (
    select
        i.*,
        f.step_id,
        f.t as failed_t,
        (
            select arg_min(n.channel, n.seq) from inbound as n
            where
                n.journey_id = i.journey_id and n.seq > i.seq
                and coalesce(n.intent = i.intent, true)
        ) as next_channel
    from inbound as i
    inner join telling as f on i.session_id = f.session_id
    where f.has_failed
)

select
    stuck.journey_id,
    stuck.step_id,
    null as prev_step_id,
    'dead_end' as kind,
    stuck.failed_t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    stuck.session_id as detail
from stuck
inner join journey as j on stuck.journey_id = j.journey_id
where if(stuck.next_channel is null, j.is_closed, stuck.next_channel <> stuck.channel);

insert into piece by name
select
    c.journey_id,
    arg_max(e.step_id, e.pos) filter (where e.outcome is not null) as step_id,
    null as prev_step_id,
    'abandonment' as kind,
    arg_max(e.t, e.pos) filter (where e.outcome is not null) as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    c.session_id as detail
from session as c
inner join stepped as e on c.session_id = e.session_id
cross join settings as s
where
    c.is_contact and c.outcome = 'abandoned'
    and (c.wait_s is null or c.wait_s >= s.short_abandon_s)
group by c.journey_id, c.session_id;

insert into piece by name
with inbound as (
    select
        *,
        lead(session_id) over (partition by journey_id order by seq) as next_session
    from session
    where is_contact and direction = 'inbound'
)

select
    b.journey_id,
    b.first_step as step_id,
    (
        select arg_max(e.step_id, e.pos) from stepped as e
        where e.session_id = a.session_id and e.pos < b.first_pos
    ) as prev_step_id,
    'self_rescue' as kind,
    b.first_t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    a.session_id as detail
from inbound as a
inner join session as b on a.next_session = b.session_id
where
    a.has_human
    and a.outcome in ('unresolved', 'partly', 'error', 'no_result', 'abandoned', 'escalated')
    and b.channel = 'web' and not b.has_human and a.intent = b.intent;
