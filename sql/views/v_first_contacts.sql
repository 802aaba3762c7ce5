-- purpose: first contact resolution, three ways that are never mixed
-- grain: intent
-- key: intent
-- sources: v_contacts
create or replace view v_first_contacts as
with contacts as (
    select * from v_contacts
    where is_first and is_matured
),

firsts as (
    select
        intent,
        fcr_flag,
        is_confirmed,
        is_repeated,
        is_settled(outcome) as is_resolved
    from contacts
),

counted as (
    select
        intent,
        count(*) as n_first,
        count(*) filter (not is_repeated) as n_not_repeated,
        count(is_resolved) as n_outcome_known,
        count(*) filter (is_resolved is null) as n_outcome_unknown,
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
        share_of(n_resolved, n_outcome_known) as fcr,
        wilson_lo(n_resolved, n_outcome_known) as fcr_lo,
        wilson_hi(n_resolved, n_outcome_known) as fcr_hi,
        share_of(n_outcome_unknown, n_first) as outcome_unknown_share,
        wilson_lo(n_outcome_unknown, n_first) as outcome_unknown_share_lo,
        wilson_hi(n_outcome_unknown, n_first) as outcome_unknown_share_hi,
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

comment on column v_first_contacts.n_first is
'Matured inbound contacts without one of that intent in the window before, on whichever channel
(v_rates has them by channel, owner and type, the first one judged within it).';
comment on column v_first_contacts.n_not_repeated is
'Of these, without another contact of that intent in the window after.';
comment on column v_first_contacts.n_outcome_known is 'Of these, with a logged outcome.';
comment on column v_first_contacts.n_outcome_unknown is
'Of these, without one: nobody knows, so they are no part of fcr.';
comment on column v_first_contacts.n_resolved is
'Of n_outcome_known, resolved, sold or informed, and not repeated.';
comment on column v_first_contacts.n_flagged is 'With a flag set by the agent.';
comment on column v_first_contacts.n_flagged_resolved is 'Flagged as resolved by the agent.';
comment on column v_first_contacts.n_answered is 'Whose customer answered whether it is resolved.';
comment on column v_first_contacts.n_confirmed is 'Of these, confirmed as resolved.';
comment on column v_first_contacts.fcr is
'Share resolved and not repeated among n_outcome_known; null: none known.';
comment on column v_first_contacts.fcr_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_first_contacts.fcr_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_first_contacts.outcome_unknown_share is
'Share of first contacts without a logged outcome: so far fcr speaks of others.';
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
