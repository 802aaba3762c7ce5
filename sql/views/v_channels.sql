-- purpose: what happens in each channel: volume, handling, abandonment, containment
-- grain: channel
-- key: channel
-- sources: v_rates, v_contacts
create or replace view v_channels as
with rates as (
    select
        *,
        scope_value as channel
    from v_rates
    where scope = 'channel'
),

waits as (
    select
        channel,
        median(wait_s) as wait_s_median
    from v_contacts
    group by channel
),

-- One row of each rate a channel: the counts are those of v_rates, laid side by side.
spread as (
    select
        channel,
        max(denominator) filter (rate = 'need_driven') as n_contacts,
        max(numerator) filter (rate = 'need_driven') as n_need_driven,
        max(denominator) filter (rate = 'handle_s') as n_handled,
        max(value) filter (rate = 'handle_s') as handle_s,
        max(value_lo) filter (rate = 'handle_s') as handle_s_lo,
        max(value_hi) filter (rate = 'handle_s') as handle_s_hi,
        max(denominator) filter (rate = 'abandoned' and denominator > 0) as n_offered,
        max(numerator) filter (rate = 'abandoned' and denominator > 0) as n_abandoned,
        max(denominator) filter (rate = 'transferred' and denominator > 0) as n_answered,
        max(numerator) filter (rate = 'transferred' and denominator > 0) as n_transferred,
        max(numerator) filter (rate = 'escalated' and denominator > 0) as n_escalated,
        max(denominator) filter (rate = 'contained' and denominator > 0) as n_automated,
        max(numerator) filter (rate = 'contained' and denominator > 0) as n_contained,
        max(denominator) filter (rate = 'contained_no_repeat' and denominator > 0)
            as n_automated_matured,
        max(numerator) filter (rate = 'contained_no_repeat' and denominator > 0)
            as n_contained_no_repeat,
        max(value) filter (rate = 'abandoned') as abandoned_share,
        max(value_lo) filter (rate = 'abandoned') as abandoned_share_lo,
        max(value_hi) filter (rate = 'abandoned') as abandoned_share_hi,
        max(value) filter (rate = 'transferred') as transferred_share,
        max(value_lo) filter (rate = 'transferred') as transferred_share_lo,
        max(value_hi) filter (rate = 'transferred') as transferred_share_hi,
        max(value) filter (rate = 'escalated') as escalated_share,
        max(value_lo) filter (rate = 'escalated') as escalated_share_lo,
        max(value_hi) filter (rate = 'escalated') as escalated_share_hi,
        max(value) filter (rate = 'contained') as contained_share,
        max(value_lo) filter (rate = 'contained') as contained_share_lo,
        max(value_hi) filter (rate = 'contained') as contained_share_hi,
        max(value) filter (rate = 'contained_no_repeat') as contained_no_repeat_share,
        max(value_lo) filter (rate = 'contained_no_repeat') as contained_no_repeat_share_lo,
        max(value_hi) filter (rate = 'contained_no_repeat') as contained_no_repeat_share_hi
    from rates
    group by channel
),

channels as (
    select
        spread.*,
        waits.wait_s_median
    from spread
    left join waits on spread.channel is not distinct from waits.channel
)

select * from channels;

comment on column v_channels.n_contacts is 'Contacts.';
comment on column v_channels.n_need_driven is 'Need-driven contacts.';
comment on column v_channels.n_handled is 'Contacts with logged talk time.';
comment on column v_channels.handle_s is
'Average handling time: talk, hold and wrap; queues are not in it [s].';
comment on column v_channels.handle_s_lo is
'Lower end of its 95 % interval (normal); null below two contacts.';
comment on column v_channels.wait_s_median is 'Median of the logged waiting [s].';
comment on column v_channels.n_offered is
'Inbound contacts by voice or chat with a logged outcome; null: none, as where there is no queue.';
comment on column v_channels.n_abandoned is
'Of these, abandoned after at least the short-abandon threshold, or after an unknown wait.';
comment on column v_channels.n_answered is
'Inbound by voice, by chat or with a human, of a logged outcome other than abandoned; null: none.';
comment on column v_channels.n_transferred is 'Of those answered, transferred.';
comment on column v_channels.n_escalated is 'Of those answered, escalated.';
comment on column v_channels.n_automated is
'Inbound contacts by voice or chat with a machine in them; null: none. A web page contains nobody.';
comment on column v_channels.n_contained is 'Of these, without a human.';
comment on column v_channels.n_automated_matured is
'Automated contacts with an intent whose window after has passed.';
comment on column v_channels.n_contained_no_repeat is
'Of these, without a human and without a repeat.';
comment on column v_channels.abandoned_share is
'Share abandoned among those offered; null: none counted.';
comment on column v_channels.transferred_share is 'Share transferred among those answered.';
comment on column v_channels.escalated_share is 'Share escalated among those answered.';
comment on column v_channels.contained_share is
'Share without a human among automated contacts, resolved or not; null: none counted.';
comment on column v_channels.contained_no_repeat_share is
'Share without a human and without a repeat, among matured automated contacts.';
