-- purpose: the tables as they are published, named `o_<table>`
-- grain:   as in the declared tables
-- key:     as in the declared tables
-- sources: journey, step, session, handoff, handoff_asked, info_request, promised, scored, score,
--          final, busy
create or replace table o_sessions as
select
    s.* exclude (started_t, ended_t),
    make_timestamptz(s.started_t) as started_at,
    make_timestamptz(s.ended_t) as ended_at,
    f.is_final
from session as s
inner join final as f on s.journey_id = f.journey_id;

create or replace table o_steps as
with
hazards as (
    select
        step_id,
        sum(hazard) as hazard
    from scored
    where factor = 1
    group by step_id
),

reasks as (
    select
        step_id,
        count(*) filter (where is_reask) as n_reasked
    from info_request
    group by step_id
),

followed as (
    select
        first_place,
        step_id,
        owner,
        first_t,
        lag(last_t) over journey as t_before,
        lag(last_waiting_for) over journey as wait_cause
    from step
    window journey as (partition by j order by seq)
),

worked as (
    select
        step_id,
        worked_us(owner, t_before, greatest(first_t, t_before)) as worked
    from followed
    where t_before is not null and (select count(*) from calendar) > 0
)

select
    s.* exclude (j, started_t, ended_t, first_t, last_t, last_waiting_for, wait_s, tier, tz),
    m.local_hour,
    m.local_dow,
    m.weather,
    m.temperature_c,
    make_timestamptz(s.started_t) as started_at,
    make_timestamptz(s.ended_t) as ended_at,
    case
        when w.t_before is not null then greatest(w.first_t - w.t_before, 0) // 1000000
    end as wait_before_s,
    b.worked // 1000000 as wait_before_work_s,
    w.wait_cause,
    s.wait_s as queue_s,
    (s.ended_t - s.started_t) // 1000000 as processing_s,
    if(k.has['n_reasked'], coalesce(r.n_reasked, 0), null) as n_reasked,
    coalesce(h.hazard, 0) as hazard,
    100 * (1 - exp(-coalesce(h.hazard, 0))) as friction,
    f.is_final
from step as s
inner join final as f on s.journey_id = f.journey_id
left join hazards as h on s.step_id = h.step_id
left join reasks as r on s.step_id = r.step_id
inner join followed as w on s.first_place = w.first_place
left join worked as b on s.step_id = b.step_id
inner join around as m on s.step_id = m.step_id
inner join carried as y on s.journey_id = y.journey_id
inner join measured_metric as k on y.load = k.load and k.grain = 'step';

create or replace table o_friction_evidence as
select
    p.journey_id,
    p.step_id,
    j.customer_key,
    p.prev_step_id,
    p.kind,
    if(
        p.kind in (select n.kind from node_kind as n), 'node', 'edge'
    ) as locus,
    case
        when p.kind = 'promise_broken' then p.owner
        when p.prev_step_id is null then e.owner
        else b.owner
    end as owner,
    case
        when a.place is not null then a.to_owner
        when p.kind in ('transfer', 'escalation') and p.prev_step_id = p.step_id then null
        when p.prev_step_id is not null then e.owner
    end as owner_to,
    e.touchpoint,
    p.basis,
    p.x as raw_value,
    p.weight as base_weight,
    p.g as intensity,
    p.confidence,
    p.severity,
    p.kind_rank::int as kind_rank,
    p.hazard,
    p.hazard / sum(p.hazard) over (partition by p.journey_id) as share,
    make_timestamptz(p.occurred_t) as occurred_at,
    p.minutes_customer,
    p.minutes_customer_basis,
    p.minutes_company,
    p.minutes_company_basis,
    p.cost,
    p.is_cost_whole,
    p.currency,
    f.is_final
from costed as p
inner join journey as j on p.journey_id = j.journey_id
inner join final as f on p.journey_id = f.journey_id
inner join step as e on p.step_id = e.step_id
left join step as b on p.prev_step_id = b.step_id
left join handoff_asked as a
    on
        p.kind in ('handoff_dropped', 'transfer', 'escalation')
        and p.prev_step_id = p.step_id and p.journey_id = a.journey_id
        and (a.source || '/' || a.id = p.detail or format('{:09d}', a.place) = p.detail);

create or replace table o_handoffs as
with
taken as (
    select
        received_step,
        min(due_t) as due_t
    from handoff_asked
    where received_step is not null
    group by received_step
),

united as (
    select
        h.journey_id,
        h.customer_key,
        h.giver.step_id as from_step,
        h.step_id as to_step,
        h.giver.owner as from_owner,
        h.owner as to_owner,
        h.giver.team as from_team,
        h.team as to_team,
        h.giver.channel as from_channel,
        h.channel as to_channel,
        h.first_t as occurred_t,
        greatest(h.first_t - h.giver.last_t, 0) // 1000000 as latency_s,
        h.n_known as n_fields_known,
        h.n_passed as n_fields_passed,
        h.n_reasked as n_fields_reasked,
        h.context,
        if(h.is_declared, 'declared', 'observed') as basis,
        case when t.due_t is not null then false end as is_dropped,
        h.is_ping_pong,
        t.due_t,
        false as is_asked
    from handoff as h
    left join taken as t on h.step_id = t.received_step
    union all by name
    select
        a.journey_id,
        a.customer_key,
        a.step_id as from_step,
        null as to_step,
        'observed' as basis,
        a.to_channel,
        g.owner as from_owner,
        a.to_owner,
        g.team as from_team,
        a.to_team,
        g.channel as from_channel,
        a.t as occurred_t,
        a.is_dropped,
        false as is_ping_pong,
        a.due_t,
        a.source || '/' || a.id as asked_id,
        true as is_asked
    from handoff_asked as a
    inner join step as g on a.step_id = g.step_id
    where a.received_step is null
)

select
    u.* exclude (occurred_t, due_t),
    make_timestamptz(u.occurred_t) as occurred_at,
    make_timestamptz(u.due_t) as due_at,
    f.is_final
from united as u
inner join final as f on u.journey_id = f.journey_id;

create or replace table o_info_requests as
select
    r.* exclude (occurred_t, known_since),
    make_timestamptz(r.occurred_t) as occurred_at,
    make_timestamptz(r.known_since) as known_since,
    j.customer_key,
    f.is_final
from info_request as r
inner join journey as j on r.journey_id = j.journey_id
inner join final as f on r.journey_id = f.journey_id;

create or replace table o_promises as
select
    p.* exclude (made_t, due_t, delivered_t),
    make_timestamptz(p.made_t) as made_at,
    make_timestamptz(p.due_t) as due_at,
    make_timestamptz(p.delivered_t) as delivered_at,
    case when p.delivered_t > p.due_t then (p.delivered_t - p.due_t) // 1000000 end as lateness_s,
    f.is_final
from promised as p
inner join final as f on p.journey_id = f.journey_id;

create or replace table o_sla_results as
select
    r.journey_id,
    j.customer_key,
    r.sla,
    r.kind,
    r.owed_by as owner,
    make_timestamptz(r.start_t) as started_at,
    make_timestamptz(r.due_t) as due_at,
    make_timestamptz(r.met_t) as met_at,
    r.elapsed // 1000000 as elapsed_s,
    r.status,
    f.is_final
from sla_result as r
inner join journey as j on r.journey_id = j.journey_id
inner join final as f on r.journey_id = f.journey_id;

create or replace table o_journeys as
with
by_event as (
    select
        e.journey_id,
        count(distinct e.channel) as n_channels,
        count(*) filter (
            where e.direction = 'internal' and coalesce(e.lifecycle, 'complete') = 'complete'
        ) as n_completes,
        count(distinct e.activity) filter (
            where e.direction = 'internal' and coalesce(e.lifecycle, 'complete') = 'complete'
        ) as n_activities,
        sum(e.wait_s)::bigint as customer_wait_s,
        count(*) filter (
            where e.direction = 'outbound' and e.message_kind in ('marketing', 'upsell')
            and not e.is_message and s.is_contact and s.direction = 'inbound'
        ) as n_sold_inside
    from stepped as e
    inner join session as s on e.session_id = s.session_id
    group by e.journey_id
),

gaps as (
    select
        journey_id,
        waiting_for,
        coalesce(lifecycle in ('schedule', 'assign', 'suspend'), false) as is_queued,
        coalesce(greatest(lead(t) over journey - t, 0), 0) as gap,
        owner_eff,
        t
    from stepped
    window journey as (partition by journey_id order by pos)
),

worked_gaps as (
    select
        *,
        worked_us(owner_eff, t, t + gap) as worked
    from gaps
    where (select count(*) from calendar) > 0
    union all
    select
        *,
        null as worked
    from gaps
    where (select count(*) from calendar) = 0
),

by_gap as (
    select
        journey_id,
        bool_or(is_queued or waiting_for is not null) as is_logged,
        coalesce(sum(gap) filter (
            where waiting_for = 'company' or (is_queued and waiting_for is null)
        ), 0) // 1000000 as internal_wait_s,
        coalesce(sum(worked) filter (
            where waiting_for = 'company' or (is_queued and waiting_for is null)
        ), 0) // 1000000 as internal_wait_work_s,
        coalesce(bool_or(worked is null) filter (
            where waiting_for = 'company' or (is_queued and waiting_for is null)
        ), false) or (select count(*) from calendar) = 0 as is_without_hours,
        coalesce(sum(gap) filter (where waiting_for = 'third_party'), 0) // 1000000
            as third_party_wait_s,
        coalesce(sum(gap) filter (where waiting_for = 'customer'), 0) // 1000000
            as waited_for_customer_s
    from worked_gaps
    group by journey_id
),

repeats as (
    select
        b.journey_id,
        count(*) as n_repeat_contacts
    from session as b
    cross join settings as s
    where
        b.direction = 'inbound' and exists (
            select 1 from session as a
            where
                a.customer_key = b.customer_key and a.direction = 'inbound'
                and a.intent = b.intent and a.first_place < b.first_place
                and b.first_t - a.first_t <= s.repeat_window
        )
    group by b.journey_id
),

by_step as (
    select
        journey_id,
        count(*) as n_steps,
        count(distinct silo) as n_silos,
        count(*) filter (where stage = 'before') as n_steps_before,
        count(*) filter (where stage = 'during') as n_steps_during,
        count(*) filter (where stage = 'after') as n_steps_after,
        arg_min(owner, seq) as first_owner
    from step
    group by journey_id
),

by_session as (
    select
        journey_id,
        count(*) as n_sessions,
        count(*) filter (where is_contact) as n_contacts,
        count(*) filter (where is_contact and is_need_driven) as n_need_driven
    from session
    group by journey_id
),

by_handoff as (
    select
        journey_id,
        count(*) filter (where not is_asked) as n_handoffs,
        count(*) filter (where context = 'full') as n_handoffs_full,
        count(*) filter (where context = 'part') as n_handoffs_part,
        count(*) filter (where context = 'none') as n_handoffs_none,
        count(*) filter (where context = 'unknown') as n_handoffs_unknown,
        count(*) filter (where is_dropped) as n_handoffs_dropped,
        count(*) filter (where is_ping_pong) as n_ping_pong
    from o_handoffs
    group by journey_id
),

by_promise as (
    select
        journey_id,
        count(*) as n_promises,
        count(*) filter (where status = 'kept') as n_promises_kept,
        count(*) filter (where status = 'late') as n_promises_late,
        count(*) filter (where status = 'broken') as n_promises_broken,
        count(*) filter (where status = 'open') as n_promises_open
    from o_promises
    group by journey_id
),

by_kind as (
    select
        journey_id,
        count(*) filter (where kind = 'channel_switch') as n_channel_switches,
        count(*) filter (where kind = 'channel_fallback') as n_fallbacks,
        count(*) filter (where kind = 'transfer') as n_transfers,
        count(*) filter (where kind = 'escalation') as n_escalations,
        count(*) filter (where kind = 'dead_end') as n_dead_ends,
        count(*) filter (where kind = 'abandonment') as n_abandoned,
        count(*) filter (where kind = 'info_conflict') as n_info_conflicts,
        count(*) filter (where kind = 'reopened') as n_reopens
    from o_friction_evidence
    group by journey_id
),

given as (
    select
        journey_id,
        field,
        min(pos) as pos
    from field_use
    where op = 'given' and basis = 0
    group by journey_id, field
),

by_field as (
    select
        g.journey_id,
        count(*) as n_fields_known,
        count(*) filter (where exists (
            select 1 from field_use as l
            where
                l.journey_id = g.journey_id and l.field = g.field and l.pos > g.pos
                and l.basis = 0 and l.op <> 'verify'
        )) as n_fields_needed
    from given as g
    group by g.journey_id
),

by_request as (
    select
        journey_id,
        count(*) filter (where is_reask and basis = 'observed') as n_reasked_observed,
        count(*) filter (where is_reask and basis = 'declared') as n_reasked_declared,
        count(*) filter (where is_reask and basis = 'inferred') as n_reasked_inferred,
        count(distinct field) filter (where is_reask and basis = 'observed') as n_fields_reasked
    from info_request
    group by journey_id
)

select
    j.journey_id,
    j.customer_key,
    j.journey_type,
    j.case_id,
    coalesce(j.type_owner, t.owner, s.first_owner) as owner,
    j.product_id,
    j.lifecycle_stage,
    j.segment,
    make_timestamptz(j.started_t) as started_at,
    make_timestamptz(j.last_t) as ended_at,
    if(j.is_closed, 'closed', 'open') as state,
    if(j.is_closed, j.reason, null) as close_reason,
    f.is_final,
    o.outcome,
    o.outcome_basis,
    o.outcome01,
    j.n_events,
    s.n_steps,
    v.n_sessions,
    v.n_contacts,
    v.n_need_driven,
    v.n_contacts - v.n_need_driven + e.n_sold_inside as n_company_driven,
    v.n_need_driven / nullif(v.n_contacts + e.n_sold_inside, 0) as need_driven_share,
    e.n_channels,
    coalesce(k.n_channel_switches, 0) as n_channel_switches,
    nullif(s.n_silos, 0) as n_silos,
    if(s.n_silos > 0, s.n_silos - 1, null) as silos_crossed,
    if(m.has['n_handoffs'], coalesce(h.n_handoffs, 0), null) as n_handoffs,
    if(m.has['n_handoffs_full'], coalesce(h.n_handoffs_full, 0), null) as n_handoffs_full,
    if(m.has['n_handoffs_part'], coalesce(h.n_handoffs_part, 0), null) as n_handoffs_part,
    if(m.has['n_handoffs_none'], coalesce(h.n_handoffs_none, 0), null) as n_handoffs_none,
    if(m.has['n_handoffs_unknown'], coalesce(h.n_handoffs_unknown, 0), null) as n_handoffs_unknown,
    if(m.has['n_handoffs_dropped'], coalesce(h.n_handoffs_dropped, 0), null) as n_handoffs_dropped,
    if(m.has['n_ping_pong'], coalesce(h.n_ping_pong, 0), null) as n_ping_pong,
    if(m.has['n_reasked_observed'], coalesce(r.n_reasked_observed, 0), null) as n_reasked_observed,
    if(m.has['n_reasked_declared'], coalesce(r.n_reasked_declared, 0), null) as n_reasked_declared,
    coalesce(r.n_reasked_inferred, 0) as n_reasked_inferred,
    if(m.has['n_fields_known'], coalesce(d.n_fields_known, 0), null) as n_fields_known,
    1 - coalesce(r.n_fields_reasked, 0) / nullif(d.n_fields_needed, 0) as data_continuity,
    case when j.has_start then (j.clock_end_t - j.started_t) // 1000000 end as throughput_s,
    b.busy_s,
    case when j.has_start then (j.clock_end_t - j.started_t) // 1000000 end - b.busy_s as idle_s,
    case
        when j.has_start and j.is_closed and o.held_t is not null
            then greatest(o.held_t - j.started_t, 0) // 1000000
    end as time_to_resolution_s,
    e.customer_wait_s,
    if(w.is_logged, w.internal_wait_s, null) as internal_wait_s,
    if(w.is_logged and not w.is_without_hours, w.internal_wait_work_s, null)
        as internal_wait_work_s,
    if(w.is_logged, w.third_party_wait_s, null) as third_party_wait_s,
    if(w.is_logged, w.waited_for_customer_s, null) as waited_for_customer_s,
    if(e.n_completes > 0, e.n_completes - e.n_activities, null) as rework,
    if(m.has['n_repeat_contacts'], coalesce(x.n_repeat_contacts, 0), null) as n_repeat_contacts,
    coalesce(k.n_fallbacks, 0) as n_fallbacks,
    if(m.has['n_transfers'], coalesce(k.n_transfers, 0), null) as n_transfers,
    if(m.has['n_escalations'], coalesce(k.n_escalations, 0), null) as n_escalations,
    if(m.has['n_dead_ends'], coalesce(k.n_dead_ends, 0), null) as n_dead_ends,
    if(m.has['n_abandoned'], coalesce(k.n_abandoned, 0), null) as n_abandoned,
    if(m.has['n_info_conflicts'], coalesce(k.n_info_conflicts, 0), null) as n_info_conflicts,
    if(m.has['n_reopens'], coalesce(k.n_reopens, 0), null) as n_reopens,
    if(m.has['n_promises'], coalesce(p.n_promises, 0), null) as n_promises,
    if(m.has['n_promises_kept'], coalesce(p.n_promises_kept, 0), null) as n_promises_kept,
    if(m.has['n_promises_late'], coalesce(p.n_promises_late, 0), null) as n_promises_late,
    if(m.has['n_promises_broken'], coalesce(p.n_promises_broken, 0), null) as n_promises_broken,
    if(m.has['n_promises_open'], coalesce(p.n_promises_open, 0), null) as n_promises_open,
    if(m.has['n_steps_before'], s.n_steps_before, null) as n_steps_before,
    if(m.has['n_steps_during'], s.n_steps_during, null) as n_steps_during,
    if(m.has['n_steps_after'], s.n_steps_after, null) as n_steps_after,
    c.* exclude (journey_id, outcome01),
    q.* exclude (journey_id),
    l.* exclude (journey_id)
from journey as j
inner join final as f on j.journey_id = f.journey_id
inner join outcome as o on j.journey_id = o.journey_id
inner join types as t on j.journey_type = t.name
inner join by_event as e on j.journey_id = e.journey_id
inner join by_step as s on j.journey_id = s.journey_id
inner join by_session as v on j.journey_id = v.journey_id
inner join score as c on j.journey_id = c.journey_id
inner join carried as y on j.journey_id = y.journey_id
inner join measured_metric as m on y.load = m.load and m.grain = 'journey'
inner join journey_cost as q on j.journey_id = q.journey_id
inner join journey_logged as l on j.journey_id = l.journey_id
left join by_handoff as h on j.journey_id = h.journey_id
left join by_promise as p on j.journey_id = p.journey_id
left join by_kind as k on j.journey_id = k.journey_id
left join by_field as d on j.journey_id = d.journey_id
left join by_request as r on j.journey_id = r.journey_id
left join by_gap as w on j.journey_id = w.journey_id
left join repeats as x on j.journey_id = x.journey_id
left join busy as b on j.journey_id = b.journey_id;
