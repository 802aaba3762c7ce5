-- purpose: every accepted event with its place in the customer's total order, its touchpoint,
--          agent and team row as of its time, its channel family, its type and whether it is
--          need-driven
-- grain:   one row per event, as `events` lie
-- key:     place (over all customers), or source, id
-- sources: events, persons, touchpoints, campaigns, agents, teams, cases, customers, types
--          (settings of every type name that occurs)
create or replace table touchpoint_held as from spans('touchpoints', touchpoint);
create or replace table campaign_held as from spans('campaigns', campaign_id);
create or replace table case_held as from spans('cases', (customer_key, case_id));
create or replace table customer_held as from spans('customers', customer_key);
create or replace table agent_held as from spans('agents', actor_id);
create or replace table team_held as from spans('teams', team);

-- whole rows never move: what is found out of an event lies beside it, in the order of `events`,
-- and goes by numbers: of the event, its customer, its case, its place in the order
create or replace table borne as
select
    e.event,
    coalesce(p.person, e.customer_key) as customer_key
from (
    select
        row_number() over () as event,
        customer_key,
        time
    from events
) as e
left join persons as p on e.customer_key = p.who and e.time = p.t
order by e.event;

create or replace table person as
select
    customer_key,
    (row_number() over ())::int as customer
from (select distinct customer_key from borne) as every;

create or replace table case_number as
select
    customer_key,
    case_id,
    (row_number() over ())::int as kase
from (
    select distinct
        b.customer_key,
        e.case_id
    from events as e
    positional join borne as b
    where e.case_id is not null
) as every;

create or replace table ordered as
select
    e.event,
    p.customer,
    row_number() over (
        order by p.customer, e.time, e.source, e.sequence nulls first, e.id
    ) as place
from (
    select
        b.event,
        b.customer_key,
        e.time,
        e.source,
        e.sequence,
        e.id
    from events as e
    positional join borne as b
) as e
inner join person as p on e.customer_key = p.customer_key;

-- the type of a case's first typed event
create or replace table hinted as
select
    n.kase,
    arg_min(coalesce(e.journey_type, a.journey_type), o.place) as type_hint,
    arg_min(epoch_us(e.time), o.place) as t
from (
    select
        b.event,
        b.customer_key,
        e.time,
        e.case_id,
        e.touchpoint,
        e.journey_type
    from events as e
    positional join borne as b
    where e.case_id is not null
) as e
inner join ordered as o on e.event = o.event
inner join case_number as n on e.customer_key = n.customer_key and e.case_id = n.case_id
left join touchpoint_held as a
    on
        e.touchpoint = a.touchpoint
        and epoch_us(e.time) >= a.begin_t and epoch_us(e.time) < a.end_t
where coalesce(e.journey_type, a.journey_type) is not null
group by n.kase;

create or replace table own as
select
    o.event,
    o.customer,
    o.place,
    n.kase,
    epoch_us(e.time) as t,
    coalesce(e.product_id, k.product_id) as product_of,
    coalesce(e.lifecycle_stage, u.lifecycle_stage) as stage_of_life,
    u.segment,
    coalesce(e.owner, a.owner, m.owner) as owner_eff,
    e.owner is null and coalesce(a.owner, m.owner) is not null as is_owner_from_table,
    coalesce(e.team, g.team, a.team) as team_eff,
    coalesce(e.team, g.team) is null as is_team_from_place,
    m.tier,
    coalesce(a.silo, m.silo) as table_silo,
    a.stage as tp_stage,
    a.expected_wait_s,
    a.expected_latency_s,
    a.is_moment_of_truth,
    coalesce(e.system, a.system) as system_logged,
    coalesce(e.journey_type, a.journey_type) as type_hint,
    coalesce(
        k.journey_type,
        e.journey_type,
        if(h.t <= epoch_us(e.time), h.type_hint, null),
        a.journey_type
    ) as etype,
    case
        when e.channel in ('web', 'app', 'device') then 'digital'
        when e.channel in ('chat', 'chatbot') then 'chat'
        when e.channel in ('ivr', 'phone') then 'voice'
        when e.channel in ('email', 'sms', 'letter') then 'written'
        when e.channel in ('branch', 'visit') then 'place'
        else e.channel
    end as family,
    e.direction = 'inbound'
    or (
        e.direction = 'outbound'
        and coalesce(e.relevance_basis in ('due', 'need', 'preference'), false)
        and (
            e.consent_purpose is null
            or coalesce(
                list_contains(e.consent_purpose, coalesce(cp.purpose, e.message_kind)), false
            )
        )
    ) as is_need_driven
from (
    select
        e.* exclude (customer_key),
        b.event,
        b.customer_key
    from events as e
    positional join borne as b
) as e
inner join ordered as o on e.event = o.event
left join touchpoint_held as a
    on
        e.touchpoint = a.touchpoint
        and epoch_us(e.time) >= a.begin_t and epoch_us(e.time) < a.end_t
left join campaign_held as cp
    on
        e.campaign_id = cp.campaign_id
        and epoch_us(e.time) >= cp.begin_t and epoch_us(e.time) < cp.end_t
left join case_number as n on e.customer_key = n.customer_key and e.case_id = n.case_id
left join hinted as h on n.kase = h.kase
left join case_held as k
    on
        e.customer_key = k.customer_key and e.case_id = k.case_id
        and epoch_us(e.time) >= k.begin_t and epoch_us(e.time) < k.end_t
left join customer_held as u
    on
        e.customer_key = u.customer_key
        and epoch_us(e.time) >= u.begin_t and epoch_us(e.time) < u.end_t
left join agent_held as g
    on
        e.actor_id = g.actor_id
        and epoch_us(e.time) >= g.begin_t and epoch_us(e.time) < g.end_t
left join team_held as m
    on
        coalesce(e.team, g.team, a.team) = m.team
        and epoch_us(e.time) >= m.begin_t and epoch_us(e.time) < m.end_t
order by o.event;

-- nothing below looks at these
drop table borne;
drop table ordered;
drop table hinted;

create or replace view ev as
select
    e.* exclude (customer_key, product_id, lifecycle_stage),
    o.* exclude (product_of, stage_of_life),
    o.product_of as product_id,
    o.stage_of_life as lifecycle_stage,
    e.direction = 'outbound' and e.actor_type in ('bot', 'system')
    and e.message_kind is not null as is_message,
    e.direction = 'outbound' and coalesce(
        e.message_kind in ('marketing', 'upsell', 'survey'), false
    ) as is_pushed,
    e.direction = 'outbound' and e.message_kind is not null
    and not coalesce(o.is_need_driven, false) as is_company_driven,
    epoch_us(coalesce(e.start_time, least(e.time, e.end_time))) as t_start,
    epoch_us(coalesce(e.end_time, greatest(e.time, e.start_time))) as t_end
from events as e
positional join own as o;
