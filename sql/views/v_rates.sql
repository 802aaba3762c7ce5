-- purpose: the rates of contacts and cases, each with numerator, denominator and interval
-- grain: scope, value of the scope, rate
-- key: scope, scope_value, rate
-- sources: v_contacts, v_journeys
create or replace view v_rates as
with contacts as (
    select
        *,
        is_matured and is_past_known and not is_repeat and direction = 'inbound'
        and intent is not null as is_first,
        talk_s + coalesce(hold_s, 0) + coalesce(wrap_s, 0) as handle_s
    from v_contacts
),

-- Closed ones only: whatever closed it, nothing can open it again. Solved is what had an end, be it
-- that it held to its window, to the next journey's start or to the cap, or was taken away again.
journeys as (
    select
        owner,
        journey_type,
        coalesce(n_reopens > 0, false) as is_reopened,
        coalesce(n_reopens > 0, false)
        or coalesce(close_reason = 'end rule' and outcome01 > 0, false)
        or time_to_resolution_s is not null as is_solved
    from v_journeys
    where state = 'closed'
),

counted as (
    select
        case
            when grouping(owner) = 0 then 'owner'
            when grouping(channel) = 0 then 'channel'
            when grouping(intent) = 0 then 'intent'
            when grouping(journey_type) = 0 then 'journey_type'
            else 'all'
        end as scope,
        coalesce(owner, channel, intent, journey_type) as scope_value,
        count(*) as n_contacts,
        count(*) filter (is_need_driven) as n_need_driven,
        count(*) filter (is_first) as n_first,
        count(*) filter (
            is_first and not is_repeated and outcome in ('resolved', 'sold', 'informed')
        ) as n_resolved,
        count(*) filter (is_first and not is_repeated) as n_not_repeated,
        count(fcr_flag) filter (is_first) as n_flagged,
        count(*) filter (is_first and fcr_flag) as n_flagged_resolved,
        count(is_confirmed) filter (is_first) as n_answered,
        count(*) filter (is_first and is_confirmed) as n_confirmed,
        count(*) filter (direction = 'inbound' and intent is not null and is_past_known)
            as n_comparable,
        count(*) filter (is_repeat and is_past_known) as n_repeats,
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
    group by grouping sets ((), (owner), (channel), (intent), (journey_type))
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
        count(*) filter (is_solved) as denominator
    from journeys
    group by grouping sets ((), (owner), (journey_type))
),

told as (
    select
        scope,
        scope_value,
        unnest([
            'fcr', 'fcr_proxy', 'fcr_flagged', 'fcr_confirmed', 'repeat_contact', 'abandoned',
            'transferred', 'escalated', 'contained', 'contained_no_repeat', 'need_driven'
        ]) as rate,
        unnest([
            n_resolved, n_not_repeated, n_flagged_resolved, n_confirmed, n_repeats, n_abandoned,
            n_transferred, n_escalated, n_contained, n_contained_no_repeat, n_need_driven
        ]) as numerator,
        unnest([
            n_first, n_first, n_flagged, n_answered, n_comparable, n_offered,
            n_handled, n_handled, n_automated, n_automated_matured, n_contacts
        ]) as denominator
    from counted
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

comment on view v_rates is
'One row per scope and rate: first contact resolution (three ways apart), repeats, abandonment,
transfer, escalation, containment, re-opening, need-driven share, handling time.';
comment on column v_rates.scope is
'all, owner, channel, intent, journey_type; of reopened: all, owner, journey_type.';
comment on column v_rates.scope_value is 'Which one; null: all, or unknown.';
comment on column v_rates.rate is
'fcr: resolved, not repeated, among matured first contacts. fcr_proxy: not repeated, whatever the
outcome. fcr_flagged: the agent says so. fcr_confirmed: the customer says so. repeat_contact,
abandoned (of those offered), transferred and escalated (of those handled), contained and
contained_no_repeat (of automated ones), need_driven, reopened (of closed journeys that
had an end),
handle_s (talk, hold, wrap; queues are not in it).';
comment on column v_rates.numerator is
'Contacts or journeys that count; of handle_s their seconds.';
comment on column v_rates.denominator is
'Contacts or journeys that could count: matured ones only, where a window must pass.';
comment on column v_rates.unit is 'share, or s.';
comment on column v_rates.value is 'Numerator over denominator; null: nothing to count.';
comment on column v_rates.value_lo is
'Lower end of its 95 % interval: Wilson, of handle_s normal (null below two contacts).';
comment on column v_rates.value_hi is 'Upper end of its 95 % interval.';
