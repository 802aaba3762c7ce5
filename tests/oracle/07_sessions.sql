-- purpose: sessions, of which those with an event that is not internal are contacts
-- grain:   one row per session
-- key:     session (over all journeys, in their order), session_id
-- sources: stepped, journey
create or replace table session as
with
-- sessions of one event, most of them, are read off it
gathered as (
    select
        session,
        any_value(j) as j,
        arg_min(family, pos) as channel_family,
        arg_min(channel, pos) as channel,
        arg_min(source, pos) as source,
        bool_or(direction <> 'internal') as is_contact,
        bool_or(is_message) as is_message,
        coalesce(
            arg_min(direction, pos) filter (where direction <> 'internal'), 'internal'
        ) as direction,
        coalesce(
            arg_min(is_need_driven, pos) filter (where direction <> 'internal'), false
        ) as is_need_driven,
        arg_min(intent, pos) as intent,
        arg_max(outcome, pos) as outcome,
        bool_or(
            actor_type = 'human' or channel in ('phone', 'chat', 'branch', 'visit')
        ) as has_human,
        coalesce(
            arg_min(actor_type in ('bot', 'system'), pos) filter (where direction <> 'internal'),
            false
        ) as is_by_machine,
        coalesce(
            arg_min(is_pushed, pos) filter (where direction <> 'internal'), false
        ) as is_pushed,
        bool_or(
            actor_type in ('bot', 'system') or channel in ('web', 'app', 'chatbot', 'device')
        ) as has_machine,
        arg_min(place, pos) as first_place,
        arg_min(t, pos) as first_t,
        min(t) as started_t,
        max(t) as ended_t,
        count(*)::int as n_events,
        min(pos) as first_pos,
        arg_min(step, pos) as first_step,
        max(step) as last_step,
        sum(talk_s)::bigint as talk_s,
        sum(hold_s)::bigint as hold_s,
        sum(wrap_s)::bigint as wrap_s,
        sum(wait_s)::bigint as wait_s
    from stepped
    where not is_session
    group by session
),

united as (
    select * from gathered
    union all
    select
        session,
        j,
        family as channel_family,
        channel,
        source,
        direction <> 'internal' as is_contact,
        is_message,
        direction,
        direction <> 'internal' and is_need_driven as is_need_driven,
        intent,
        outcome,
        actor_type = 'human' or channel in ('phone', 'chat', 'branch', 'visit') as has_human,
        direction <> 'internal' and actor_type in ('bot', 'system') as is_by_machine,
        direction <> 'internal' and is_pushed as is_pushed,
        actor_type in ('bot', 'system') or channel in ('web', 'app', 'chatbot', 'device')
            as has_machine,
        place as first_place,
        t as first_t,
        t as started_t,
        t as ended_t,
        1 as n_events,
        pos as first_pos,
        step as first_step,
        step as last_step,
        talk_s,
        hold_s,
        wrap_s,
        wait_s
    from stepped
    where is_session
),

ordered as (
    select
        j,
        session
    from united
    order by session
),

counted as (
    select
        session,
        changed(j) as begins_journey,
        row_number() over () as n
    from ordered
),

numbered as (
    select
        session,
        (n - running_max(if(begins_journey, n, null)) + 1)::int as seq
    from counted
)

select
    u.*,
    n.seq
from united as u
inner join numbered as n on u.session = n.session;
