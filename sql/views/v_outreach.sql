-- purpose: what the company sends or calls about: with a basis and consent for it, or without
-- grain: message kind, channel and owner
-- note: A message counts once per customer, a call once, however many events were logged of it.
-- key: message_kind, channel, owner
-- sources: events, v_sessions, v_steps
create or replace view v_outreach as
with events as (
    select
        *,
        source || '/' || id as event_id
    from events
    where direction = 'outbound'
),

-- What a human called about, or wrote, is one contact however many events were logged of it.
calls as (
    select
        sessions.session_id,
        unnest(steps.event_ids) as event_id
    from v_sessions as sessions
    inner join v_steps as steps on sessions.session_id = steps.session_id
    where sessions.is_contact and sessions.direction = 'outbound'
),

-- Elsewhere only messages count: the agent's part of an inbound call is no outreach.
outbound as (
    select
        events.*,
        coalesce(
            events.message_id,
            max(events.message_id) over (partition by events.customer_key, calls.session_id),
            calls.session_id
        ) as contact_id
    from events
    inner join calls on events.event_id = calls.event_id
    union all
    select
        events.*,
        coalesce(events.message_id, events.event_id) as contact_id
    from events
    anti join calls on events.event_id = calls.event_id
    where events.message_kind is not null
),

contacts as (
    select
        customer_key,
        contact_id,
        any_value(message_kind order by time, source, sequence nulls first, id) as message_kind,
        any_value(channel order by time, source, sequence nulls first, id) as channel,
        any_value(owner order by time, source, sequence nulls first, id) as owner,
        bool_or(relevance_basis in ('due', 'need', 'preference')) as is_relevant,
        bool_and(
            case
                when consent_purpose is not null and message_kind is not null
                    then list_contains(consent_purpose, message_kind)
            end
        ) as is_consented
    from outbound
    group by customer_key, contact_id
),

counted as (
    select
        message_kind,
        channel,
        owner,
        count(*) as n_contacts,
        count(distinct customer_key) as n_customers,
        count(is_relevant) as n_basis_known,
        count(*) filter (is_relevant) as n_relevant,
        count(is_consented) as n_consent_known,
        count(*) filter (is_consented) as n_consented,
        count(*) filter (is_relevant and coalesce(is_consented, true)) as n_need_driven,
        count(*) filter (is_relevant and not is_consented) as n_relevant_no_consent
    from contacts
    group by message_kind, channel, owner
),

rated as (
    select
        *,
        share_of(n_relevant, n_basis_known) as relevant_share,
        wilson_lo(n_relevant, n_basis_known) as relevant_share_lo,
        wilson_hi(n_relevant, n_basis_known) as relevant_share_hi,
        share_of(n_consented, n_consent_known) as consented_share,
        wilson_lo(n_consented, n_consent_known) as consented_share_lo,
        wilson_hi(n_consented, n_consent_known) as consented_share_hi
    from counted
)

select * from rated;

comment on column v_outreach.message_kind is
'service, reminder, marketing, upsell, survey; null: not logged, such as a call.';
comment on column v_outreach.channel is 'First channel.';
comment on column v_outreach.owner is 'First owner logged; null: none.';
comment on column v_outreach.n_contacts is 'Outbound contacts.';
comment on column v_outreach.n_customers is 'Customers reached.';
comment on column v_outreach.n_basis_known is 'Whose relevance basis was logged.';
comment on column v_outreach.n_relevant is
'Of these, with a due date, an open need or a preference.';
comment on column v_outreach.n_consent_known is
'Whose consent was logged, for contacts of a known kind.';
comment on column v_outreach.n_consented is 'Of these, with consent for that kind.';
comment on column v_outreach.n_need_driven is
'With a basis, and consent where it is logged: these count as need-driven.';
comment on column v_outreach.n_relevant_no_consent is
'With a basis, but without consent: relevant and creepy.';
comment on column v_outreach.relevant_share is
'Share with a basis among those known; null: none counted.';
comment on column v_outreach.consented_share is
'Share with consent among those known; null: none counted.';
