-- purpose: every accepted event with its place in the customer's total order, its touchpoint,
--          agent and team row as of its time, its channel family, its type and whether it is
--          need-driven
-- grain:   one row per event
-- key:     place (over all customers), or source, id
-- sources: events, touchpoints, agents, teams, cases, customers, types (settings of every type
--          name that occurs)
create or replace table ev as
with
asof_rows as (
    select
        e.source,
        e.id,
        t.*,
        row_number() over (
            partition by e.source, e.id
            order by t.valid_from desc nulls last, t.json asc
        ) as rank
    from events as e
    inner join touchpoints as t
        on
            e.touchpoint = t.touchpoint
            and coalesce(e.time >= t.valid_from, true)
            and coalesce(e.time < t.valid_to, true)
),

campaign_rows as (
    select
        e.source,
        e.id,
        t.purpose,
        row_number() over (
            partition by e.source, e.id
            order by t.valid_from desc nulls last, t.json asc
        ) as rank
    from events as e
    inner join campaigns as t
        on
            e.campaign_id = t.campaign_id
            and coalesce(e.time >= t.valid_from, true)
            and coalesce(e.time < t.valid_to, true)
),

case_rows as (
    select
        e.source,
        e.id,
        c.journey_type,
        c.product_id,
        row_number() over (
            partition by e.source, e.id order by c.valid_from desc, c.json asc
        ) as rank
    from events as e
    inner join cases as c
        on
            e.customer_key = c.customer_key
            and e.case_id = c.case_id
            and e.time >= c.valid_from
            and coalesce(e.time < c.valid_to, true)
),

customer_rows as (
    select
        e.source,
        e.id,
        c.segment,
        c.lifecycle_stage,
        row_number() over (
            partition by e.source, e.id order by c.valid_from desc, c.json asc
        ) as rank
    from events as e
    inner join customers as c
        on
            e.customer_key = c.customer_key
            and e.time >= c.valid_from
            and coalesce(e.time < c.valid_to, true)
),

agent_rows as (
    select
        e.source,
        e.id,
        t.team,
        row_number() over (
            partition by e.source, e.id
            order by t.valid_from desc nulls last, t.json asc
        ) as rank
    from events as e
    inner join agents as t
        on
            e.actor_id = t.actor_id
            and coalesce(e.time >= t.valid_from, true)
            and coalesce(e.time < t.valid_to, true)
),

teamed as (
    select
        e.source,
        e.id,
        e.time,
        coalesce(e.team, g.team) is null as is_team_from_place,
        coalesce(e.team, g.team, a.team) as team_eff
    from events as e
    left join asof_rows as a on e.source = a.source and e.id = a.id and a.rank = 1
    left join agent_rows as g on e.source = g.source and e.id = g.id and g.rank = 1
),

team_rows as (
    select
        e.source,
        e.id,
        e.team_eff,
        e.is_team_from_place,
        t.owner,
        t.silo,
        t.tier,
        row_number() over (
            partition by e.source, e.id
            order by t.valid_from desc nulls last, t.json asc
        ) as rank
    from teamed as e
    left join teams as t
        on
            e.team_eff = t.team
            and coalesce(e.time >= t.valid_from, true)
            and coalesce(e.time < t.valid_to, true)
),

placed as (
    select
        e.* exclude (product_id, lifecycle_stage),
        coalesce(e.product_id, k.product_id) as product_id,
        coalesce(e.lifecycle_stage, u.lifecycle_stage) as lifecycle_stage,
        u.segment,
        k.journey_type as case_type,
        epoch_us(e.time) as t,
        epoch_us(coalesce(e.start_time, least(e.time, e.end_time))) as t_start,
        epoch_us(
            coalesce(e.end_time, greatest(e.time, e.start_time))
        ) as t_end,
        row_number() over (
            order by e.customer_key, e.time, e.source, e.sequence nulls first, e.id
        ) as place,
        coalesce(e.owner, a.owner, m.owner) as owner_eff,
        e.owner is null and coalesce(a.owner, m.owner) is not null as is_owner_from_table,
        m.team_eff,
        m.is_team_from_place,
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
    from events as e
    left join asof_rows as a on e.source = a.source and e.id = a.id and a.rank = 1
    left join campaign_rows as cp on e.source = cp.source and e.id = cp.id and cp.rank = 1
    left join case_rows as k on e.source = k.source and e.id = k.id and k.rank = 1
    left join customer_rows as u on e.source = u.source and e.id = u.id and u.rank = 1
    inner join team_rows as m on e.source = m.source and e.id = m.id and m.rank = 1
),

typed as (
    select
        p.*,
        coalesce(
            p.case_type,
            p.journey_type,
            case when p.case_id is not null then arg_min(p.type_hint, p.place) over (
                partition by p.customer_key, p.case_id order by p.t
                range between unbounded preceding and current row
            ) end,
            p.type_hint
        ) as etype
    from placed as p
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
