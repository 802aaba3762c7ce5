-- purpose: what happens in each channel: volume, handling, abandonment, containment
-- grain: channel
-- key: channel
-- sources: v_contacts
create or replace view v_channels as
with contacts as (
    select * from v_contacts
),

counted as (
    select
        channel,
        count(*) as n_contacts,
        count(*) filter (is_need_driven) as n_need_driven,
        count(*) filter (talk_s is not null) as n_handled,
        avg(talk_s + coalesce(hold_s, 0) + coalesce(wrap_s, 0)) as handle_s,
        median(wait_s) as wait_s_median,
        count(*) filter (is_offered) as n_offered,
        count(*) filter (is_abandoned) as n_abandoned,
        count(*) filter (is_handled) as n_answered,
        count(*) filter (is_handled and is_transferred) as n_transferred,
        count(*) filter (is_handled and is_escalated) as n_escalated,
        count(*) filter (is_automated) as n_automated,
        count(*) filter (is_automated and not has_human) as n_contained,
        count(*) filter (is_automated and is_matured and intent is not null)
            as n_automated_matured,
        count(*) filter (
            is_automated and is_matured and intent is not null
            and not has_human and not is_repeated
        ) as n_contained_no_repeat
    from contacts
    group by channel
),

rated as (
    select
        *,
        share_of(n_abandoned, n_offered) as abandoned_share,
        wilson_lo(n_abandoned, n_offered) as abandoned_share_lo,
        wilson_hi(n_abandoned, n_offered) as abandoned_share_hi,
        share_of(n_transferred, n_answered) as transferred_share,
        wilson_lo(n_transferred, n_answered) as transferred_share_lo,
        wilson_hi(n_transferred, n_answered) as transferred_share_hi,
        share_of(n_escalated, n_answered) as escalated_share,
        wilson_lo(n_escalated, n_answered) as escalated_share_lo,
        wilson_hi(n_escalated, n_answered) as escalated_share_hi,
        share_of(n_contained, n_automated) as contained_share,
        wilson_lo(n_contained, n_automated) as contained_share_lo,
        wilson_hi(n_contained, n_automated) as contained_share_hi,
        share_of(n_contained_no_repeat, n_automated_matured) as contained_no_repeat_share,
        wilson_lo(n_contained_no_repeat, n_automated_matured) as contained_no_repeat_share_lo,
        wilson_hi(n_contained_no_repeat, n_automated_matured) as contained_no_repeat_share_hi
    from counted
)

select * from rated;

comment on view v_channels is
'One row per channel: contacts, handling time, abandonment, transfer, escalation, containment.';
comment on column v_channels.channel is 'First channel of the contact.';
comment on column v_channels.n_contacts is 'Contacts.';
comment on column v_channels.n_need_driven is 'Need-driven contacts.';
comment on column v_channels.n_handled is 'Contacts with logged talk time.';
comment on column v_channels.handle_s is
'Average handling time: talk, hold and wrap; queues are not in it [s].';
comment on column v_channels.wait_s_median is 'Median of the logged waiting [s].';
comment on column v_channels.n_offered is 'Inbound contacts with a logged outcome.';
comment on column v_channels.n_abandoned is
'Of these, abandoned after at least the short-abandon threshold, or after an unknown wait.';
comment on column v_channels.n_answered is 'Offered and not abandoned.';
comment on column v_channels.n_transferred is 'Of those answered, transferred.';
comment on column v_channels.n_escalated is 'Of those answered, escalated.';
comment on column v_channels.n_automated is 'Inbound contacts with a machine in them.';
comment on column v_channels.n_contained is 'Of these, without a human.';
comment on column v_channels.n_automated_matured is
'Automated contacts with an intent whose window after has passed.';
comment on column v_channels.n_contained_no_repeat is
'Of these, without a human and without a repeat.';
comment on column v_channels.abandoned_share is
'Share abandoned among those offered; null: none counted.';
comment on column v_channels.abandoned_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_channels.abandoned_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_channels.transferred_share is 'Share transferred among those answered.';
comment on column v_channels.transferred_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_channels.transferred_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_channels.escalated_share is 'Share escalated among those answered.';
comment on column v_channels.escalated_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_channels.escalated_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_channels.contained_share is
'Share without a human among automated contacts, resolved or not; null: none counted.';
comment on column v_channels.contained_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_channels.contained_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_channels.contained_no_repeat_share is
'Share without a human and without a repeat, among matured automated contacts.';
comment on column v_channels.contained_no_repeat_share_lo is
'Lower end of its 95 % Wilson interval.';
comment on column v_channels.contained_no_repeat_share_hi is
'Upper end of its 95 % Wilson interval.';
