-- purpose: pieces of friction of contacts that lead nowhere: dead_end, abandonment
-- grain:   one row per piece
-- key:     step_id, kind, detail
-- sources: stepped, session, inbound, journey, settings
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

-- the next contact in which he may want the same
followed as (
    select
        i.session_id,
        arg_min(n.channel, n.seq) as channel
    from inbound as i
    inner join telling as f on i.session_id = f.session_id
    inner join inbound as n on i.journey_id = n.journey_id and i.seq < n.seq
    where f.has_failed and coalesce(n.intent = i.intent, true)
    group by i.session_id
),

stuck as (
    select
        i.*,
        f.step_id,
        f.t as failed_t,
        n.channel as next_channel
    from inbound as i
    inner join telling as f on i.session_id = f.session_id
    left join followed as n on i.session_id = n.session_id
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
