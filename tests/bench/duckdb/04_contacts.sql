-- Purpose: sessions as contacts. Grain: one session, by journey and first event.
-- Sessions of one event, most of them, are read off it; only the others are grouped.
create temp table contacts as
with marked as (
    select
        *,
        actor_type = 'human' or channel in ('phone', 'branch', 'visit', 'chat') as by_human,
        actor_type in ('bot', 'system') or channel in ('web', 'app', 'chatbot', 'device')
            as by_machine
    from told
),

gathered as (
    select
        session_pos,
        any_value(j) as j,
        any_value(customer) as customer,
        max(pos) as last_pos,
        min(step) as first_step,
        max(step) as last_step,
        min(us) as us,
        max(us) as last_us,
        bool_or(direction != 'internal') as is_contact,
        any_value(is_message) as is_message,
        any_value(family) as family,
        coalesce(
            arg_min(direction, pos) filter (where direction != 'internal'),
            cast('internal' as direction)
        ) as direction,
        coalesce(arg_min(is_need_driven, pos) filter (where direction != 'internal'), false)
            as is_need_driven,
        coalesce(arg_min(is_pushed, pos) filter (where direction != 'internal'), false)
            as is_pushed,
        arg_min(channel, pos) as channel,
        arg_min(intent, pos) as intent,
        arg_max(outcome, pos) as outcome,
        bool_or(by_human) as has_human,
        bool_or(by_machine) as has_machine,
        count(*) as n_events,
        cast(sum(talk_s) as bigint) as talk_s,
        cast(sum(wait_s) as bigint) as wait_s,
        count(*) filter (where is_sales and not is_message) as n_sales
    from marked
    where not is_session
    group by session_pos
)

select * from gathered
union all
select
    session_pos,
    j,
    customer,
    pos as last_pos,
    step as first_step,
    step as last_step,
    us,
    us as last_us,
    direction != 'internal' as is_contact,
    is_message,
    family,
    direction,
    is_need_driven and direction != 'internal' as is_need_driven,
    is_pushed,
    channel,
    intent,
    outcome,
    by_human as has_human,
    by_machine as has_machine,
    1 as n_events,
    talk_s,
    wait_s,
    cast(is_sales and not is_message as bigint) as n_sales
from marked
where is_session
order by session_pos;

create temp table inbound as
select * from contacts
where is_contact and direction = 'inbound';

create temp table switches as
with following as (
    select
        j,
        session_pos,
        family,
        intent,
        outcome,
        last_step,
        last_pos,
        lead(j) over () as next_j,
        lead(family) over () as next_family,
        lead(intent) over () as next_intent,
        lead(first_step) over () as step,
        lead(session_pos) over () as pos,
        lead(us) over () as us
    from inbound
)

select
    session_pos as earlier,
    step,
    last_step,
    last_pos,
    pos,
    us,
    case when outcome is null then 0.5 else 1.0 end as sure
from following
where
    j = next_j and family != next_family
    and coalesce(outcome not in ('resolved', 'sold', 'informed'), true)
    and coalesce(intent = next_intent, true);

create temp table fallbacks as
with following as (
    select
        j,
        session_pos,
        channel,
        has_human,
        intent,
        outcome,
        last_step,
        last_pos,
        lead(j) over () as next_j,
        lead(has_human) over () as next_has_human,
        lead(intent) over () as next_intent,
        lead(first_step) over () as step,
        lead(session_pos) over () as pos,
        lead(us) over () as us
    from inbound
)

select
    j,
    session_pos as earlier,
    step,
    last_step,
    last_pos,
    pos,
    us,
    case when outcome is null then 0.5 else 1.0 end as sure
from following
where
    j = next_j and not has_human and channel in ('web', 'app', 'chatbot', 'device')
    and next_has_human and coalesce(outcome not in ('resolved', 'sold', 'informed'), true)
    and coalesce(intent = next_intent, true);

create temp table repeats as
with ordered as (
    select
        j,
        customer,
        intent,
        us,
        session_pos,
        first_step,
        last_step,
        last_pos,
        outcome
    from inbound
    where intent is not null
    order by customer, intent, us, session_pos
),

preceded as (
    select
        j,
        us,
        session_pos as pos,
        first_step as step,
        lag(session_pos) over () as earlier,
        lag(outcome) over () as earlier_outcome,
        lag(last_step) over () as last_step,
        lag(last_pos) over () as last_pos,
        customer = lag(customer) over () and intent = lag(intent) over ()
        and us - lag(us) over () <= 7 * 86400000000 as is_repeat
    from ordered
)

select * exclude (is_repeat)
from preceded
where is_repeat;

create temp table rescues as
with following as (
    select
        j,
        session_pos,
        intent,
        outcome,
        has_human,
        last_step,
        last_pos,
        lead(j) over () as next_j,
        lead(has_human) over () as next_has_human,
        lead(channel) over () as next_channel,
        lead(intent) over () as next_intent,
        lead(first_step) over () as step,
        lead(session_pos) over () as pos,
        lead(us) over () as us
    from inbound
)

select
    session_pos as earlier,
    step,
    last_step,
    last_pos,
    pos,
    us
from following
where
    j = next_j and has_human and not next_has_human and next_channel = 'web'
    and intent = next_intent
    and outcome in ('unresolved', 'partly', 'error', 'no_result', 'abandoned', 'escalated');

drop table inbound;

-- Contacts of two families may overlap: then the edge begins where the earlier one stood.
create temp table stood as
with pairs as (
    select
        earlier,
        pos
    from switches
    union
    select
        earlier,
        pos
    from fallbacks
    union
    select
        earlier,
        pos
    from repeats
    union
    select
        earlier,
        pos
    from rescues
),

overlapping as (
    select
        p.earlier,
        p.pos,
        c.us,
        l.id
    from pairs as p
    inner join contacts as e on p.earlier = e.session_pos
    inner join contacts as c on p.pos = c.session_pos
    inner join told as l on p.pos = l.pos
    where e.last_us >= c.us
)

select
    o.earlier,
    o.pos,
    max(t.step) as step,
    max(t.pos) as last_pos
from overlapping as o
inner join told as t on o.earlier = t.session_pos
where t.us < o.us or (t.us = o.us and t.id < o.id)
group by o.earlier, o.pos;
