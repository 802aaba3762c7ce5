-- purpose: how often customers had to come again, apart from those who took the next step
-- grain: intent and channel family
-- note: Who was informed and goes on has not failed.
-- key: intent, channel_family
-- sources: v_contacts
create or replace view v_repeat_contacts as
with contacts as (
    select
        intent,
        channel_family,
        is_repeat,
        earlier_outcome,
        is_helped(earlier_outcome) as is_after_help
    from v_contacts
    where intent is not null and direction = 'inbound' and is_past_known
),

counted as (
    select
        intent,
        channel_family,
        count(*) as n_contacts,
        count(*) filter (is_repeat) as n_repeats,
        count(*) filter (is_repeat and is_after_help) as n_after_help,
        count(*) filter (is_repeat and not is_after_help) as n_unsettled,
        count(*) filter (is_repeat and earlier_outcome is null) as n_after_unknown,
        count(*) filter (not is_repeat or is_after_help is not null) as n_known
    from contacts
    group by intent, channel_family
),

rated as (
    select
        *,
        share_of(n_unsettled, n_known) as repeat_share,
        wilson_lo(n_unsettled, n_known) as repeat_share_lo,
        wilson_hi(n_unsettled, n_known) as repeat_share_hi,
        share_of(n_after_unknown, n_contacts) as unknown_share,
        wilson_lo(n_after_unknown, n_contacts) as unknown_share_lo,
        wilson_hi(n_after_unknown, n_contacts) as unknown_share_hi
    from counted
)

select * from rated;

comment on column v_repeat_contacts.channel_family is 'Family of the later contact.';
comment on column v_repeat_contacts.n_contacts is
'Inbound contacts with that intent whose window before is known.';
comment on column v_repeat_contacts.n_repeats is
'Of these, with an earlier one of the same customer and intent in the window, not ended sold.';
comment on column v_repeat_contacts.n_after_help is
'Of these, the earlier one ended informed: the next step, and no failure.';
comment on column v_repeat_contacts.n_unsettled is
'Of n_repeats, the earlier one ended otherwise, be it as resolved: the customer had to come again.';
comment on column v_repeat_contacts.n_after_unknown is
'Of n_repeats, nobody logged how the earlier one ended.';
comment on column v_repeat_contacts.n_known is
'Contacts of which it is known whether the customer had to come again: all but n_after_unknown.';
comment on column v_repeat_contacts.repeat_share is
'Share of n_unsettled among n_known; null: none counted.';
comment on column v_repeat_contacts.unknown_share is
'Share of n_after_unknown among n_contacts: where it is high, repeat_share says little.';
