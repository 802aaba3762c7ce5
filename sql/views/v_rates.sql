-- purpose: the rates of contacts and cases, each with numerator, denominator and interval
-- grain: scope, value of the scope, rate
-- key: scope, scope_value, rate
-- sources: v_contacts, v_journeys
create or replace view v_rates as
with contacts as (
    select
        *,
        talk_s + coalesce(hold_s, 0) + coalesce(wrap_s, 0) as handle_s
    from v_contacts
),

-- Closed ones only: whatever closed it, nothing can open it again. Solved is what had an end, be it
-- that it held to its window, to the next journey's start or to the cap, or was taken away again.
journeys as (
    select
        owner,
        journey_type,
        n_reopens > 0 as is_reopened,
        coalesce(n_reopens > 0, false)
        or coalesce(close_reason = 'end rule' and outcome01 > 0, false)
        or time_to_resolution_s is not null as is_solved
    from v_journeys
    where state = 'closed'
),

-- A contact is a first one within the level at hand, and has failed where any channel hears the
-- customer again.
firsts as (
    select
        unnest(['all', 'owner', 'channel', 'channel_family', 'intent', 'journey_type']) as scope,
        unnest([null, owner, channel, channel_family, intent, journey_type]) as scope_value,
        unnest([
            is_first, is_first_of_owner, is_first_in_channel, is_first_in_family, is_first,
            is_first_of_type
        ]) as is_first,
        is_settled(outcome) as is_resolved,
        is_repeated,
        fcr_flag,
        is_confirmed
    from contacts
    where is_matured
),

first_counts as (
    select
        scope,
        scope_value,
        count(*) as n_first,
        count(is_resolved) as n_outcome_known,
        count(*) filter (is_resolved is null) as n_outcome_unknown,
        count(*) filter (is_resolved and not is_repeated) as n_resolved,
        count(*) filter (not is_repeated) as n_not_repeated,
        count(fcr_flag) as n_flagged,
        count(*) filter (fcr_flag) as n_flagged_resolved,
        count(is_confirmed) as n_answered,
        count(*) filter (is_confirmed) as n_confirmed
    from firsts
    where is_first
    group by scope, scope_value
),

counted as (
    select
        case
            when grouping(owner) = 0 then 'owner'
            when grouping(channel) = 0 then 'channel'
            when grouping(channel_family) = 0 then 'channel_family'
            when grouping(intent) = 0 then 'intent'
            when grouping(journey_type) = 0 then 'journey_type'
            else 'all'
        end as scope,
        coalesce(owner, channel, channel_family, intent, journey_type) as scope_value,
        count(*) as n_contacts,
        count(*) filter (is_need_driven) as n_need_driven,
        count(*) filter (direction = 'inbound' and intent is not null and is_past_known)
            as n_comparable,
        count(*) filter (is_repeat and is_past_known) as n_repeats,
        count(*) filter (is_repeat and is_past_known and earlier_outcome is null)
            as n_after_unknown,
        count(*) filter (is_repeat and is_past_known and not is_helped(earlier_outcome))
            as n_unsettled,
        count(*) filter (is_offered) as n_offered,
        count(*) filter (is_abandoned) as n_abandoned,
        count(*) filter (is_handled) as n_handled,
        count(*) filter (is_handled and is_transferred) as n_transferred,
        count(*) filter (is_handled and is_escalated) as n_escalated,
        count(*) filter (is_automated) as n_automated,
        count(*) filter (is_automated and not has_human) as n_contained,
        count(*) filter (is_automated and is_matured and intent is not null)
            as n_automated_matured,
        count(*) filter (
            is_automated and is_matured and intent is not null
            and not has_human and not is_repeated
        ) as n_contained_no_repeat,
        count(handle_s) as n_talked,
        sum(handle_s) as handle_s_sum,
        stddev_samp(handle_s) as handle_s_deviation
    from contacts
    group by grouping sets ((), (owner), (channel), (channel_family), (intent), (journey_type))
),

reopened as (
    select
        case
            when grouping(owner) = 0 then 'owner'
            when grouping(journey_type) = 0 then 'journey_type'
            else 'all'
        end as scope,
        coalesce(owner, journey_type) as scope_value,
        'reopened' as rate,
        count(*) filter (is_reopened) as numerator,
        count(is_reopened) filter (is_solved) as denominator
    from journeys
    group by grouping sets ((), (owner), (journey_type))
),

every as (
    select
        counted.*,
        coalesce(first_counts.n_first, 0) as n_first,
        coalesce(first_counts.n_outcome_known, 0) as n_outcome_known,
        coalesce(first_counts.n_outcome_unknown, 0) as n_outcome_unknown,
        coalesce(first_counts.n_resolved, 0) as n_resolved,
        coalesce(first_counts.n_not_repeated, 0) as n_not_repeated,
        coalesce(first_counts.n_flagged, 0) as n_flagged,
        coalesce(first_counts.n_flagged_resolved, 0) as n_flagged_resolved,
        coalesce(first_counts.n_answered, 0) as n_answered,
        coalesce(first_counts.n_confirmed, 0) as n_confirmed
    from counted
    left join first_counts
        on
            counted.scope = first_counts.scope
            and counted.scope_value is not distinct from first_counts.scope_value
),

told as (
    select
        scope,
        scope_value,
        unnest([
            'fcr', 'fcr_unknown', 'fcr_proxy', 'fcr_flagged', 'fcr_confirmed', 'repeat_contact',
            'repeat_unsettled', 'abandoned', 'transferred', 'escalated', 'contained',
            'contained_no_repeat', 'need_driven'
        ]) as rate,
        unnest([
            n_resolved, n_outcome_unknown, n_not_repeated, n_flagged_resolved, n_confirmed,
            n_repeats, n_unsettled, n_abandoned, n_transferred, n_escalated, n_contained,
            n_contained_no_repeat, n_need_driven
        ]) as numerator,
        unnest([
            n_outcome_known, n_first, n_first, n_flagged, n_answered, n_comparable,
            n_comparable - n_after_unknown, n_offered, n_handled, n_handled, n_automated,
            n_automated_matured, n_contacts
        ]) as denominator
    from every
),

shares as (
    select * from told
    union all
    select * from reopened
),

rates as (
    select
        *,
        'share' as unit,
        share_of(numerator, denominator) as value,
        wilson_lo(numerator, denominator) as value_lo,
        wilson_hi(numerator, denominator) as value_hi
    from shares
    union all
    select
        scope,
        scope_value,
        'handle_s' as rate,
        coalesce(handle_s_sum, 0)::bigint as numerator,
        n_talked as denominator,
        's' as unit,
        handle_s_sum / n_talked as value,
        handle_s_sum / n_talked - mean_half(handle_s_deviation, n_talked) as value_lo,
        handle_s_sum / n_talked + mean_half(handle_s_deviation, n_talked) as value_hi
    from counted
)

select * from rates;

comment on column v_rates.scope is
'all, owner, channel, channel_family, intent, journey_type; of reopened: all, owner, journey_type.';
comment on column v_rates.scope_value is 'Which one; null: all, or unknown.';
comment on column v_rates.rate is
'fcr: resolved, sold or informed, not repeated, among matured first contacts with a known outcome
(the first within the scope: who visited the web page has not called yet; a repeat on any channel
counts). fcr_unknown: without a known outcome, among all of them. fcr_proxy: not repeated, whatever
the outcome. fcr_flagged: the agent says so. fcr_confirmed: the customer says so. repeat_contact:
after an earlier one of the same need, be it the next step. repeat_unsettled: after one whose
outcome is known and neither informed nor sold, of those not after an unknown one. abandoned (of
those offered by voice or chat), transferred and escalated (of those handled), contained and
contained_no_repeat (of those by voice or chat with a machine), need_driven, reopened (of closed
journeys that had an end, where a re-opening would be known),
handle_s (talk, hold, wrap; queues are not in it).';
comment on column v_rates.numerator is
'Contacts or journeys that count; of handle_s their seconds.';
comment on column v_rates.denominator is
'Contacts or journeys that could count: matured ones only, where a window must pass.';
comment on column v_rates.unit is 'share, or s.';
comment on column v_rates.value is 'Numerator over denominator; null: nothing to count.';
comment on column v_rates.value_lo is
'Lower end of its 95 % interval: Wilson, of handle_s normal (null below two contacts).';
