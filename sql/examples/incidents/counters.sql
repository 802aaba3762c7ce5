-- purpose: the log's own counters beside what the events themselves show
-- grain: one row per figure
-- key: figure
-- sources: events (attrs carries the log's counters), v_journeys
-- Why the two differ:
--   reassigned: 9,575 incidents change between two known groups. 1,769 more change only from or to
--       no group (`?`), which the log counts and our rules do not: an unknown owner is no owner.
--       In the last 25 every update shows the same group: the counter saw a change that no update
--       shows. By our rules 9,140 have a hand-off: in the other 435 another group comes in for one
--       step only and the first one goes on (A, B, A): a consultation, not a hand-off.
--   re-opened: incident 0000137 has an open state after a resolved one and the counter 0: its
--       sys_mod_count 1 stands there twice (see `ids` in mapping.sql), so its order is in doubt.
--   opened to resolved: resolved_at is the time of the last Resolved update. 1,556 incidents have
--       none, though 1,543 of them were resolved with their very first update: leaving them out
--       lifts the log's median. Without them, and to the last Resolved, the events come to the
--       same; the minutes that remain lie between the call (opened_at) and the first update.
--   opened to closed: nearly every incident's last update is its closing.
--   SLA: a counter only; the log does not say what was promised by when.
--   waited for the user, two callers, updated late, state -100: the log keeps no counter of them.
with
updates as (
    select
        case_id,
        time,
        sequence,
        team,
        coalesce(team, '?') as team_or_none,
        attrs['state'] as state,
        cast(attrs['reassignment_count'] as integer) as reassignments,
        cast(attrs['reopen_count'] as integer) as reopenings,
        attrs['made_sla'] = 'false' as missed_sla,
        try_strptime(attrs['opened_at'], '%d/%m/%Y %H:%M') as opened_at,
        try_strptime(attrs['resolved_at'], '%d/%m/%Y %H:%M') as resolved_at,
        try_strptime(attrs['closed_at'], '%d/%m/%Y %H:%M') as closed_at,
        info[1].value_hmac as caller
    from events
),

ordered as (
    select
        *,
        lag(team_or_none) over incident as team_or_none_before,
        lag(team ignore nulls) over incident as team_before,
        min(case when state = 'Resolved' then time end) over earlier as resolved_before,
        count(*) filter (where state in ('Resolved', 'Closed')) over earlier as n_ends_before
    from updates
    window
        incident as (partition by case_id order by time, sequence),
        earlier as (
            partition by case_id order by time, sequence
            rows between unbounded preceding and 1 preceding
        )
),

incidents as (
    select
        case_id,
        max(reassignments) as reassignments,
        max(reopenings) as reopenings,
        bool_or(missed_sla) as missed_sla,
        epoch(max(resolved_at)) - epoch(max(opened_at)) as opened_to_resolved_s,
        epoch(max(closed_at)) - epoch(max(opened_at)) as opened_to_closed_s,
        bool_or(state = 'Awaiting User Info') as waited_for_user,
        bool_or(team <> team_before) as changed_team,
        bool_or(team_or_none <> team_or_none_before) as changed_team_or_none,
        bool_or(n_ends_before > 0 and state not in ('Resolved', 'Closed')) as resumed,
        bool_or(to_seconds(14 * 86400) < time - resolved_before) as updated_late,
        count(distinct caller) as n_callers,
        count(*) filter (where state = '-100') as n_unknown_states,
        epoch(min(time)) as first_s,
        epoch(max(time)) as last_s,
        epoch(min(time) filter (where state = 'Resolved')) as first_resolved_s,
        epoch(max(time) filter (where state = 'Resolved')) as last_resolved_s
    from ordered
    group by case_id
)

select
    unnest([
        'incidents',
        'reassigned at least once',
        'reassigned at least once, no group counted as a group',
        'with a hand-off by our rules',
        'most reassignments',
        're-opened at least once',
        'most re-openings',
        'SLA missed',
        'waited for the user at least once',
        'opened to resolved, median h (events: to the first Resolved)',
        'opened to resolved, median h (events: to the last Resolved)',
        'the same, only where the log has a resolved_at',
        'opened to closed, mean d (events: first to last update)',
        'two callers',
        'updated more than 14 d after the first Resolved',
        'updates in the unexplained state -100'
    ]) as figure,
    unnest([
        null,
        count(*) filter (where reassignments > 0),
        count(*) filter (where reassignments > 0),
        count(*) filter (where reassignments > 0),
        max(reassignments),
        count(*) filter (where reopenings > 0),
        max(reopenings),
        count(*) filter (where missed_sla),
        null,
        round(median(opened_to_resolved_s) / 3600, 1),
        round(median(opened_to_resolved_s) / 3600, 1),
        round(median(opened_to_resolved_s) / 3600, 1),
        round(avg(opened_to_closed_s) / 86400, 2),
        null,
        null,
        null
    ]) as log_counter,
    unnest([
        count(*),
        count(*) filter (where changed_team),
        count(*) filter (where changed_team_or_none),
        (
            select count(*) from v_journeys
            where n_handoffs > 0
        ),
        null,
        count(*) filter (where resumed),
        null,
        null,
        count(*) filter (where waited_for_user),
        round(median(first_resolved_s - first_s) / 3600, 1),
        round(median(last_resolved_s - first_s) / 3600, 1),
        round(
            median(last_resolved_s - first_s)
            filter (where opened_to_resolved_s is not null) / 3600,
            1
        ),
        round(avg(last_s - first_s) / 86400, 2),
        count(*) filter (where n_callers > 1),
        count(*) filter (where updated_late),
        sum(n_unknown_states)
    ]) as from_events
from incidents
