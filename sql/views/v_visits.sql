-- purpose: visits as web analysts count them: one channel family, silence within the gap
-- grain: session that is no pushed message and not internal
-- key: session_id
-- sources: v_sessions
create or replace view v_visits as
with sessions as (
    select
        session_id,
        journey_id,
        customer_key,
        channel_family,
        channel,
        direction,
        intent,
        outcome,
        started_at,
        ended_at,
        n_events,
        is_contact,
        is_message
    from v_sessions
),

visits as (
    select
        * exclude (is_contact, is_message),
        -- of a lone event nobody knows how long it was looked at
        case
            when n_events > 1 or ended_at > started_at
                then (epoch_us(ended_at) - epoch_us(started_at)) / 1e6
        end as duration_s
    from sessions
    where is_contact and not is_message
)

select * from visits;

comment on column v_visits.duration_s is
'From first to last event; null where one event tells no time [s].';
