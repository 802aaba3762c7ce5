-- purpose: pieces of friction of contacts that lead nowhere: dead_end, abandonment
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: stepped, session, inbound, journey, settings
insert into piece by name
with
telling as (
    select
        session,
        step,
        t,
        case
            when outcome is not null then outcome in ('error', 'no_result', 'abandoned')
            else true
        end as has_failed
    from stepped
    where outcome is not null or error_code is not null or results_n = 0
    qualify row_number() over (partition by session order by pos desc) = 1
),

-- the next contact in which he may want the same
followed as (
    select
        i.session,
        arg_min(n.channel, n.seq) as channel
    from inbound as i
    inner join telling as f on i.session = f.session
    inner join inbound as n on i.j = n.j and i.seq < n.seq
    where f.has_failed and coalesce(n.intent = i.intent, true)
    group by i.session
),

stuck as (
    select
        i.j,
        i.session,
        i.seq,
        i.channel,
        f.step,
        f.t as failed_t,
        n.channel as next_channel
    from inbound as i
    inner join telling as f on i.session = f.session
    left join followed as n on i.session = n.session
    where f.has_failed
)

select
    stuck.j,
    stuck.step,
    null as prev_step,
    'dead_end' as kind,
    stuck.failed_t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    j.journey_id || '-s' || stuck.seq as detail
from stuck
inner join journey as j on stuck.j = j.j
where if(stuck.next_channel is null, j.is_closed, stuck.next_channel <> stuck.channel);

insert into piece by name
select
    c.j,
    max(e.step) filter (where e.outcome is not null) as step,
    null as prev_step,
    'abandonment' as kind,
    arg_max(e.t, e.pos) filter (where e.outcome is not null) as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    any_value(j.journey_id || '-s' || c.seq) as detail
from session as c
inner join stepped as e on c.session = e.session
inner join journey as j on c.j = j.j
cross join settings as s
where
    c.is_contact and c.outcome = 'abandoned'
    and (c.wait_s is null or c.wait_s >= s.short_abandon_s)
group by c.j, c.session;
