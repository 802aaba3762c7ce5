-- purpose: repeat contact rate
-- grain: intent and channel family
-- key: intent, channel_family
-- sources: v_contacts
create or replace view v_repeat_contacts as
with contacts as (
    select
        intent,
        channel_family,
        is_repeat
    from v_contacts
    where intent is not null and direction = 'inbound' and is_past_known
),

counted as (
    select
        intent,
        channel_family,
        count(*) as n_contacts,
        count(*) filter (is_repeat) as n_repeats
    from contacts
    group by intent, channel_family
),

rated as (
    select
        *,
        share_of(n_repeats, n_contacts) as repeat_share,
        wilson_lo(n_repeats, n_contacts) as repeat_share_lo,
        wilson_hi(n_repeats, n_contacts) as repeat_share_hi
    from counted
)

select * from rated;

comment on view v_repeat_contacts is
'One row per intent and channel family: inbound contacts that repeat an earlier one in the window.';
comment on column v_repeat_contacts.intent is 'What the customer wanted.';
comment on column v_repeat_contacts.channel_family is 'Family of the later contact.';
comment on column v_repeat_contacts.n_contacts is
'Inbound contacts with that intent whose window before is known.';
comment on column v_repeat_contacts.n_repeats is
'Of these, with an earlier one of the same customer and intent in the window.';
comment on column v_repeat_contacts.repeat_share is
'Share of repeats among contacts; null: none counted.';
comment on column v_repeat_contacts.repeat_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_repeat_contacts.repeat_share_hi is 'Upper end of its 95 % Wilson interval.';
