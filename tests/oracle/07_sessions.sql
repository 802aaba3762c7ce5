-- purpose: sessions, of which those with an event that is not internal are contacts
-- grain:   one row per session
-- key:     session_id
-- sources: stepped
create or replace table session as
select
    session_id,
    journey_id,
    customer_key,
    session_seq::int as seq,
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
        arg_min(actor_type in ('bot', 'system'), pos) filter (where direction <> 'internal'), false
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
    arg_min(step_id, pos) as first_step,
    sum(talk_s)::bigint as talk_s,
    sum(hold_s)::bigint as hold_s,
    sum(wrap_s)::bigint as wrap_s,
    sum(wait_s)::bigint as wait_s
from stepped
group by session_id, journey_id, customer_key, session_seq;
