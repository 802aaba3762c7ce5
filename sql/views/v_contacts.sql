-- purpose: contacts with the contact before and after of the same customer and intent
-- grain: contact: session with an event that is not internal
-- key: session_id
-- sources: v_sessions, v_publication
create or replace view v_contacts as
with sessions as (
    select * from v_sessions
    where is_contact
),

clock as (
    select
        complete_until_at,
        repeat_window,
        first_at
    from v_publication
),

neighboured as (
    select
        *,
        lag(started_at) over same_intent as earlier_at,
        lead(started_at) over same_intent as later_at
    from sessions
    where intent is not null and not is_message
    window same_intent as (
        partition by customer_key, intent
        order by started_at, session_id
    )
),

contacts as (
    select
        sessions.session_id,
        sessions.journey_id,
        sessions.customer_key,
        sessions.channel_family,
        sessions.channel,
        sessions.direction,
        sessions.intent,
        sessions.outcome,
        sessions.is_message,
        sessions.is_need_driven,
        sessions.has_human,
        sessions.has_machine,
        sessions.fcr_flag,
        sessions.started_at,
        sessions.ended_at,
        sessions.wait_s,
        sessions.talk_s,
        sessions.hold_s,
        sessions.wrap_s,
        neighboured.earlier_at,
        neighboured.later_at,
        sessions.started_at - clock.repeat_window >= clock.first_at as is_past_known,
        sessions.started_at + clock.repeat_window < clock.complete_until_at as is_matured,
        coalesce(
            sessions.started_at - neighboured.earlier_at <= clock.repeat_window, false
        ) as is_repeat,
        coalesce(
            neighboured.later_at - sessions.started_at <= clock.repeat_window, false
        ) as is_repeated
    from sessions
    cross join clock
    left join neighboured on sessions.session_id = neighboured.session_id
)

select * from contacts;

comment on view v_contacts is
'One row per contact, with the nearest contact of the same customer and intent before and after.';
comment on column v_contacts.session_id is 'Session that is the contact.';
comment on column v_contacts.journey_id is 'Journey of the contact.';
comment on column v_contacts.customer_key is 'Keyed pseudonym of the customer.';
comment on column v_contacts.channel_family is
'digital, chat, voice, written, place, or the channel itself.';
comment on column v_contacts.channel is 'First channel.';
comment on column v_contacts.direction is 'inbound where the customer turned to the company.';
comment on column v_contacts.intent is 'First intent; repeats are counted where it is known.';
comment on column v_contacts.outcome is 'Last outcome.';
comment on column v_contacts.is_message is 'One outbound message of a bot or system.';
comment on column v_contacts.is_need_driven is 'Inbound, or outbound with a relevance basis.';
comment on column v_contacts.has_human is 'A human of the company took part.';
comment on column v_contacts.has_machine is
'A bot or system took part, or a digital channel carried it.';
comment on column v_contacts.fcr_flag is 'Agent says: resolved at first contact.';
comment on column v_contacts.started_at is 'First event [UTC].';
comment on column v_contacts.ended_at is 'Last event [UTC].';
comment on column v_contacts.wait_s is 'Waiting logged [s].';
comment on column v_contacts.talk_s is 'Talk time logged [s].';
comment on column v_contacts.hold_s is 'Hold time logged [s].';
comment on column v_contacts.wrap_s is 'After-contact work logged [s].';
comment on column v_contacts.earlier_at is
'Start of the last contact of this customer with this intent [UTC].';
comment on column v_contacts.later_at is
'Start of the next contact of this customer with this intent [UTC].';
comment on column v_contacts.is_past_known is 'The window before it lies within the data.';
comment on column v_contacts.is_matured is 'The window after it has passed in all sources.';
comment on column v_contacts.is_repeat is
'An earlier contact of the same intent lies within the window.';
comment on column v_contacts.is_repeated is
'A later contact of the same intent lies within the window.';
