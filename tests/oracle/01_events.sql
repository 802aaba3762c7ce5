-- purpose: every accepted event with its place in the customer's total order, its touchpoint,
--          agent and team row as of its time, its channel family, its type and whether it is
--          need-driven
-- grain:   one row per event
-- key:     place (over all customers), or source, id
-- sources: events, persons, touchpoints, campaigns, agents, teams, cases, customers, types
--          (settings of every type name that occurs)
create or replace table touchpoint_held as from spans('touchpoints', touchpoint);
create or replace table campaign_held as from spans('campaigns', campaign_id);
create or replace table case_held as from spans('cases', (customer_key, case_id));
create or replace table customer_held as from spans('customers', customer_key);
create or replace table agent_held as from spans('agents', actor_id);
create or replace table team_held as from spans('teams', team);

create or replace table ev as
with
borne as (
    select
        -- what no rule asks for stays behind
        e.* exclude (
            attrs, bucket, causationid, dataclassification, expirytime, fcr_flag, handoff_kind,
            identity_key, identitytype, language, previous_key, previousidentitytype, recordedtime
        ) replace (coalesce(p.person, e.customer_key) as customer_key),
        epoch_us(e.time) as t
    from events as e
    left join persons as p on e.customer_key = p.who and e.time = p.t
),

-- the one sort of whole rows: the rest goes by the number that it gives
ordered as (
    select
        row_number() over () as place,
        *
    from (
        select * from borne
        order by customer_key, time, source, sequence nulls first, id
    ) as every
),

placed as (
    select
        e.* exclude (product_id, lifecycle_stage),
        coalesce(e.product_id, k.product_id) as product_id,
        coalesce(e.lifecycle_stage, u.lifecycle_stage) as lifecycle_stage,
        u.segment,
        k.journey_type as case_type,
        epoch_us(coalesce(e.start_time, least(e.time, e.end_time))) as t_start,
        epoch_us(
            coalesce(e.end_time, greatest(e.time, e.start_time))
        ) as t_end,
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
        case
            when e.channel in ('web', 'app', 'device') then 'digital'
            when e.channel in ('chat', 'chatbot') then 'chat'
            when e.channel in ('ivr', 'phone') then 'voice'
            when e.channel in ('email', 'sms', 'letter') then 'written'
            when e.channel in ('branch', 'visit') then 'place'
            else e.channel
        end as family,
        e.direction = 'outbound' and e.actor_type in ('bot', 'system')
        and e.message_kind is not null as is_message,
        e.direction = 'outbound' and coalesce(
            e.message_kind in ('marketing', 'upsell', 'survey'), false
        ) as is_pushed,
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
    from ordered as e
    left join touchpoint_held as a
        on e.touchpoint = a.touchpoint and e.t >= a.begin_t and e.t < a.end_t
    left join campaign_held as cp
        on e.campaign_id = cp.campaign_id and e.t >= cp.begin_t and e.t < cp.end_t
    left join case_held as k
        on
            e.customer_key = k.customer_key and e.case_id = k.case_id
            and e.t >= k.begin_t and e.t < k.end_t
    left join customer_held as u
        on e.customer_key = u.customer_key and e.t >= u.begin_t and e.t < u.end_t
    left join agent_held as g
        on e.actor_id = g.actor_id and e.t >= g.begin_t and e.t < g.end_t
    left join team_held as m
        on
            coalesce(e.team, g.team, a.team) = m.team
            and e.t >= m.begin_t and e.t < m.end_t
),

-- the type of a case's first typed event
hinted as (
    select
        customer_key,
        case_id,
        arg_min(type_hint, place) as type_hint,
        arg_min(t, place) as t
    from placed
    where case_id is not null and type_hint is not null
    group by customer_key, case_id
),

typed as (
    select
        p.*,
        coalesce(p.case_type, p.journey_type, if(h.t <= p.t, h.type_hint, null), p.type_hint)
            as etype
    from placed as p
    left join hinted as h
        on p.customer_key = h.customer_key and p.case_id = h.case_id
)

select
    typed.*,
    c.gap,
    c.reopen_window,
    typed.direction = 'outbound' and typed.message_kind is not null
    and not coalesce(typed.is_need_driven, false) as is_company_driven,
    coalesce(list_contains(c.end_activities, typed.activity), false)
    or coalesce(list_contains(c.end_outcomes, typed.outcome), false) as ends_case
from typed
inner join types as c on c.name = coalesce(typed.etype, 'other');
