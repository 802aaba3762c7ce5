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
        lag(started_at) over same_intent as last_at,
        lead(started_at) over same_intent as next_at,
        intent is not null and not is_message as is_comparable
    from sessions
    window same_intent as (
        partition by customer_key, intent, is_message
        order by started_at, session_id
    )
),

contacts as (
    select
        neighboured.session_id,
        neighboured.journey_id,
        neighboured.customer_key,
        neighboured.channel_family,
        neighboured.channel,
        neighboured.direction,
        neighboured.intent,
        neighboured.outcome,
        neighboured.is_message,
        neighboured.is_need_driven,
        neighboured.has_human,
        neighboured.has_machine,
        neighboured.fcr_flag,
        neighboured.started_at,
        neighboured.ended_at,
        neighboured.wait_s,
        neighboured.talk_s,
        neighboured.hold_s,
        neighboured.wrap_s,
        case when neighboured.is_comparable then neighboured.last_at end as earlier_at,
        case when neighboured.is_comparable then neighboured.next_at end as later_at,
        neighboured.started_at - clock.repeat_window >= clock.first_at as is_past_known,
        neighboured.started_at + clock.repeat_window < clock.complete_until_at as is_matured,
        coalesce(
            neighboured.is_comparable
            and neighboured.started_at - neighboured.last_at <= clock.repeat_window, false
        ) as is_repeat,
        coalesce(
            neighboured.is_comparable
            and neighboured.next_at - neighboured.started_at <= clock.repeat_window, false
        ) as is_repeated
    from neighboured
    cross join clock
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
