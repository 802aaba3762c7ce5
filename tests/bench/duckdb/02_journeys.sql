-- Purpose: threads (customer and type, or case) cut into journeys.
-- Grain: one event, in thread order.
-- All joins come before the one sort; what looks at neighbours then streams in that order.
create type family as enum ( -- noqa: LT01
    'digital', 'chat', 'voice', 'written', 'place', 'social', 'campaign', 'partner', 'internal',
    'other', 'message'
);

create temp table sorted as
select
    e.customer,
    e.time,
    epoch_us(e.time) as us,
    e.id,
    coalesce(
        case when e.time >= k.opened_at then k.kind end, e.journey_type, p.journey_type, 'other'
    ) as kind,
    k.case_code,
    case when k.case_code is null then t.gap end as gap,
    t.reopen_window,
    e.channel,
    e.activity,
    e.direction,
    e.actor_type,
    e.touchpoint,
    coalesce(e.owner, p.owner) as owner,
    e.owner is null and p.owner is not null as owner_from_table,
    p.team,
    e.intent,
    e.outcome,
    e.to_owner,
    e.wait_s,
    e.talk_s,
    e.rowid as event,
    case
        when e.channel in ('web', 'app', 'device') then cast('digital' as family)
        when e.channel in ('chat', 'chatbot') then cast('chat' as family)
        when e.channel in ('ivr', 'phone') then cast('voice' as family)
        when e.channel in ('email', 'sms', 'letter') then cast('written' as family)
        when e.channel in ('branch', 'visit') then cast('place' as family)
        else cast(cast(e.channel as varchar) as family)
    end as family,
    p.expected_wait_s,
    e.direction = 'inbound'
    or (
        e.direction = 'outbound'
        and coalesce(e.relevance_basis in ('due', 'need', 'preference'), false)
    ) as is_need_driven,
    e.direction = 'outbound' and e.actor_type in ('bot', 'system')
    and e.message_kind is not null as is_message,
    e.direction = 'outbound'
    and coalesce(e.message_kind in ('marketing', 'upsell', 'survey'), false) as is_pushed,
    e.direction = 'outbound'
    and coalesce(e.message_kind in ('marketing', 'upsell'), false) as is_sales,
    coalesce(e.message_kind = 'upsell', false) as is_upsell,
    e.direction = 'outbound' and e.message_kind is not null
    and coalesce(e.relevance_basis not in ('due', 'need', 'preference'), true) as is_unasked,
    coalesce(list_contains(t.end_outcomes, cast(e.outcome as varchar)), false) as is_end,
    case
        when e.outcome in ('resolved', 'sold', 'informed') then cast(1.0 as double)
        when e.outcome in ('partly', 'declined') then cast(0.5 as double)
        when e.outcome in ('unresolved', 'abandoned', 'error', 'no_result') then cast(0.0 as double)
    end as value
from events as e
left join places as p on e.touchpoint = p.touchpoint
left join cases as k on e.case_id = k.case_no
left join types as t
    on
        coalesce(
            case when e.time >= k.opened_at then k.kind end, e.journey_type, p.journey_type, 'other'
        ) = t.kind
order by e.customer, kind, k.case_code nulls first, e.time, e.id; -- noqa: RF02

create temp table cut as
with neighbours as (
    select
        *,
        row_number() over () as pos,
        coalesce(
            customer != lag(customer) over () or kind != lag(kind) over ()
            or case_code is distinct from lag(case_code) over (), true
        ) as begins_thread,
        lag(us) over () as previous_us,
        is_end or (value is not null and direction != 'outbound') as settles
    from sorted
),

-- A clock that only goes forward, so that running maxima find the latest of anything.
clocked as (
    select
        *,
        cast(
            running_sum(case when begins_thread then 1 else us - previous_us end) as bigint
        ) as clock,
        running_max(case when begins_thread then pos end) as thread_pos,
        running_max(case when settles then pos * 2 + cast(is_end as bigint) end) as settled
    from neighbours
),

settled as (
    select
        *,
        running_max(case when settles then clock end) as settled_clock
    from clocked
),

before as (
    select
        *,
        lag(settled) over () as settled_before,
        clock - lag(settled_clock) over () as since
    from settled
),

judged as (
    select
        *,
        begins_thread
        or coalesce(case
            when settled_before // 2 >= thread_pos and settled_before % 2 = 1
                then
                    (since > reopen_window and since - (us - previous_us) <= reopen_window)
                    or (since - (us - previous_us) > reopen_window and us - previous_us > gap)
            else us - previous_us > gap
        end, false) as begins
    from before
)

select
    * exclude (
        thread_pos, settled, settled_clock, settled_before, since, begins_thread, begins, clock
    ),
    cast(running_sum(cast(begins as bigint)) as integer) as j,
    running_max(case when begins then pos end) as journey_pos
from judged;

drop table sorted;
