-- purpose: first contact resolution, three ways that are never mixed
-- grain: intent
-- key: intent
-- sources: v_contacts
create or replace view v_first_contacts as
with contacts as (
    select * from v_contacts
    where intent is not null and direction = 'inbound'
),

firsts as (
    select
        intent,
        fcr_flag,
        is_confirmed,
        is_repeated,
        outcome in ('resolved', 'sold', 'informed') as is_resolved
    from contacts
    where is_matured and is_past_known and not is_repeat
),

counted as (
    select
        intent,
        count(*) as n_first,
        count(*) filter (not is_repeated) as n_not_repeated,
        count(is_resolved) as n_outcome_known,
        count(*) filter (is_resolved and not is_repeated) as n_resolved,
        count(fcr_flag) as n_flagged,
        count(*) filter (fcr_flag) as n_flagged_resolved,
        count(is_confirmed) as n_answered,
        count(*) filter (is_confirmed) as n_confirmed
    from firsts
    group by intent
),

rated as (
    select
        *,
        share_of(n_resolved, n_first) as fcr,
        wilson_lo(n_resolved, n_first) as fcr_lo,
        wilson_hi(n_resolved, n_first) as fcr_hi,
        share_of(n_not_repeated, n_first) as fcr_proxy,
        wilson_lo(n_not_repeated, n_first) as fcr_proxy_lo,
        wilson_hi(n_not_repeated, n_first) as fcr_proxy_hi,
        share_of(n_flagged_resolved, n_flagged) as fcr_flagged,
        wilson_lo(n_flagged_resolved, n_flagged) as fcr_flagged_lo,
        wilson_hi(n_flagged_resolved, n_flagged) as fcr_flagged_hi,
        share_of(n_confirmed, n_answered) as fcr_confirmed,
        wilson_lo(n_confirmed, n_answered) as fcr_confirmed_lo,
        wilson_hi(n_confirmed, n_answered) as fcr_confirmed_hi
    from counted
)

select * from rated;

comment on view v_first_contacts is
'One row per intent: first contact resolution among matured first inbound contacts.';
comment on column v_first_contacts.intent is 'What the customer wanted.';
comment on column v_first_contacts.n_first is
'Matured inbound contacts without one of that intent in the window before.';
comment on column v_first_contacts.n_not_repeated is
'Of these, without another contact of that intent in the window after.';
comment on column v_first_contacts.n_outcome_known is 'Of these, with a logged outcome.';
comment on column v_first_contacts.n_resolved is 'Resolved and not repeated.';
comment on column v_first_contacts.n_flagged is 'With a flag set by the agent.';
comment on column v_first_contacts.n_flagged_resolved is 'Flagged as resolved by the agent.';
comment on column v_first_contacts.n_answered is 'Whose customer answered whether it is resolved.';
comment on column v_first_contacts.n_confirmed is 'Of these, confirmed as resolved.';
comment on column v_first_contacts.fcr is
'Share resolved and not repeated among first contacts; null: none counted.';
comment on column v_first_contacts.fcr_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_proxy is
'Share not repeated among first contacts, whatever the outcome; null: none counted.';
comment on column v_first_contacts.fcr_proxy_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_proxy_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_flagged is
'Share that agents flagged as resolved, among those flagged; null: none counted.';
comment on column v_first_contacts.fcr_flagged_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_flagged_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_confirmed is
'Share that customers confirmed as resolved, among those who answered; null: none counted.';
comment on column v_first_contacts.fcr_confirmed_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_confirmed_hi is 'Upper end of its 95 % Wilson interval.';
