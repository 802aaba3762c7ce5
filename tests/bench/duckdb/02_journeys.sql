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
    case when k.case_code is null then t.gap else t.case_gap end as gap,
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
    not (e.direction = 'outbound' and e.actor_type in ('bot', 'system'))
    and not (e.actor_type = 'customer' and e.channel in ('web', 'app', 'chatbot', 'device'))
        as is_worked,
    e.direction = 'outbound' and e.message_kind is not null
    and coalesce(e.relevance_basis not in ('due', 'need', 'preference'), true) as is_unasked,
    coalesce(list_contains(t.end_outcomes, cast(e.outcome as varchar)), false) as is_end,
    coalesce(
        e.outcome in ('unresolved', 'abandoned', 'declined')
        and not list_contains(t.end_outcomes, cast(e.outcome as varchar)), false
    ) as is_weak,
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

-- Where journeys begin, but for new needs. What settles one: a good end; a bad one, unless the
-- company tells of it while a good end holds; an outcome that takes an end away. Clocks only go
-- forward, so that running maxima find the latest of anything; `pos * 4` bears what it was: 2 a
-- good end, 1 a bad one.
create temp table begun as
with neighbours as (
    select
        *,
        row_number() over () as pos,
        coalesce(
            customer != lag(customer) over () or kind != lag(kind) over ()
            or case_code is distinct from lag(case_code) over (), true
        ) as begins_thread,
        us - lag(us) over () as passed,
        is_weak and direction = 'outbound' as is_outward,
        is_end or (value is not null and direction != 'outbound') as settles,
        not is_unasked as goes_on,
        is_end and outcome = 'sold' as is_sold
    from sorted
),

clocked as (
    select
        pos,
        gap,
        reopen_window,
        is_end,
        is_sold,
        is_outward,
        settles,
        goes_on,
        begins_thread,
        case when not begins_thread then passed end as silence,
        pos * 4 + case when is_end then 2 when is_weak then 1 else 0 end as settling,
        cast(running_sum(case when begins_thread then 1 else passed end) as bigint) as clock,
        running_max(case when begins_thread then pos end) as thread_pos
    from neighbours
),

held as (
    select
        *,
        running_max(case when settles then settling end) as held,
        running_max(case when settles then clock end) as held_clock
    from clocked
),

settled as (
    select
        * exclude (settles, held, held_clock),
        settles or (
            is_outward and not coalesce(
                held // 4 >= thread_pos and held % 4 = 2 and clock - held_clock <= reopen_window,
                false
            )
        ) as settles
    from held
),

latest as (
    select
        *,
        running_max(case when settles then settling end) as settled,
        running_max(case when settles then clock end) as settled_clock,
        running_max(case when goes_on then clock end) as going_clock,
        running_max(case when is_end then clock end) as end_clock,
        running_max(case when is_sold then pos end) as sold_pos
    from settled
),

before as (
    select
        pos,
        gap,
        reopen_window,
        is_sold and goes_on as may_buy,
        settles,
        begins_thread,
        silence,
        thread_pos,
        lag(settled) over () as settled,
        clock - lag(settled_clock) over () as since,
        clock - lag(end_clock) over () as since_good,
        lag(sold_pos) over () as sold_pos,
        lag(going_clock > settled_clock) over () as goes_on
    from latest
),

ended as (
    select
        *,
        -- whatever follows a bad end that the company does not drive takes it back
        coalesce(
            settled // 4 >= thread_pos
            and (settled % 4 = 2 or (settled % 4 = 1 and not coalesce(goes_on, false))), false
        ) as is_ended
    from before
),

judged as (
    select
        *,
        begins_thread
        or coalesce(case
            when is_ended
                then
                    (since > reopen_window and since - silence <= reopen_window)
                    or (since - silence > reopen_window and silence > gap)
            else silence > gap
        end, false) as begins
    from ended
)

select
    pos,
    settles,
    begins,
    running_max(case when begins then pos end) as first_pos,
    case when may_buy then sold_pos end as sold_before,
    case
        when not may_buy then null
        when is_ended then least(since, since_good)
        when since_good <= reopen_window then since_good
    end as since_end
from judged;

-- A purchase after an end of a journey in which something was bought is a new one: it begins with
-- its visit. The log names neither orders nor products, and no start activities: there is no other
-- new need.
create temp table purchases as
with again as (
    select
        pos,
        first_pos,
        since_end
    from begun
    where sold_before >= first_pos and not begins and since_end > 0
),

rows_of as (
    select
        s.us,
        s.family,
        s.is_message,
        b.pos,
        b.first_pos
    from sorted as s
    positional join begun as b
    where not s.is_unasked and b.first_pos in (select a.first_pos from again as a)
),

bought as (
    select
        a.since_end,
        r.*
    from again as a
    inner join rows_of as r on a.pos = r.pos
),

drawn as (
    select
        b.pos,
        b.us,
        r.pos as earlier_pos,
        r.us = b.us as is_at_once,
        coalesce(
            lead(case when not r.is_message then r.us end ignore nulls) over visit, b.us
        ) - r.us as silence,
        r.family = b.family and not r.is_message and not b.is_message as is_in_family
    from bought as b
    inner join rows_of as r
        on b.first_pos = r.first_pos and b.pos >= r.pos and b.us - b.since_end < r.us
    window visit as (partition by b.pos, r.family = b.family order by r.pos)
),

cuts as (
    select
        pos,
        max(earlier_pos) filter (where is_in_family and silence > 1800000000) as cut_pos
    from drawn
    group by pos
)

select
    d.pos as sold_pos,
    any_value(d.us) as us,
    min(d.earlier_pos) as pos
from drawn as d
inner join cuts as c on d.pos = c.pos
where
    d.pos = d.earlier_pos or d.is_at_once
    or (d.is_in_family and d.earlier_pos > coalesce(c.cut_pos, 0))
group by d.pos;

update begun
set begins = true
where pos in (select p.pos from purchases as p);

create temp table cut as
select
    s.*,
    b.pos,
    b.settles,
    cast(running_sum(cast(b.begins as bigint)) as integer) as j,
    running_max(case when b.begins then b.pos end) as journey_pos
from sorted as s
positional join begun as b;

drop table sorted;
drop table begun;
