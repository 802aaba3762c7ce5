-- purpose: the tables as they are published, named `o_<table>`
-- grain:   as in the declared tables
-- key:     as in the declared tables
-- sources: journey, step, step_name, session, inbound, gift, field_use, handoff, handoff_asked,
--          info_request, promised, scored, score,
--          final, busy
create or replace view o_sessions as
select
    s.* exclude (j, session, started_t, ended_t, first_step, last_step),
    j.journey_id,
    j.customer_key,
    j.journey_id || '-s' || s.seq as session_id,
    make_timestamptz(s.started_t) as started_at,
    make_timestamptz(s.ended_t) as ended_at,
    f.is_final
from session as s
inner join journey as j on s.j = j.j
inner join final as f on s.j = f.j;

create or replace view o_steps as
with
hazards as (
    select
        step,
        sum(hazard) as hazard
    from scored
    where factor = 1
    group by step
),

reasks as (
    select
        step,
        count(*) filter (where is_reask) as n_reasked
    from info_request
    group by step
),

followed as (
    select
        step,
        owner,
        first_t,
        if(changed(j), null, lag(last_t) over ()) as t_before,
        if(changed(j), null, lag(last_waiting_for) over ()) as wait_cause
    from (
        select
            j,
            step,
            owner,
            first_t,
            last_t,
            last_waiting_for
        from step
        order by step
    ) as every
),

worked as (
    select
        step,
        worked_us(owner, t_before, greatest(first_t, t_before)) as worked
    from followed
    where t_before is not null and (select count(*) from calendar) > 0
)

select
    s.* exclude (
        j, step, session, started_t, ended_t, first_t, last_t, last_waiting_for, wait_s, tier, tz
    ),
    n.seq,
    n.step_id,
    j.journey_id,
    j.customer_key,
    j.journey_id || '-s' || v.seq as session_id,
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
inner join step_name as n on s.step = n.step
inner join session as v on s.session = v.session
inner join journey as j on s.j = j.j
inner join final as f on s.j = f.j
left join hazards as h on s.step = h.step
left join reasks as r on s.step = r.step
inner join followed as w on s.step = w.step
left join worked as b on s.step = b.step
left join around as m on s.step = m.step
inner join carried as y on s.j = y.j
inner join measured_metric as k on y.load = k.load and k.grain = 'step';

create or replace table o_friction_evidence as
select
    j.journey_id,
    n.step_id,
    j.customer_key,
    q.step_id as prev_step_id,
    p.kind,
    if(
        p.kind in (select k.kind from node_kind as k), 'node', 'edge'
    ) as locus,
    case
        when p.kind = 'promise_broken' then p.owner
        when p.prev_step is null then e.owner
        else b.owner
    end as owner,
    case
        when a.place is not null then a.to_owner
        when p.kind in ('transfer', 'escalation') and p.prev_step = p.step then null
        when p.prev_step is not null then e.owner
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
    p.hazard / s.friction_hazard as share,
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
inner join journey as j on p.j = j.j
inner join score as s on p.j = s.j
inner join final as f on p.j = f.j
inner join step as e on p.step = e.step
inner join step_name as n on p.step = n.step
left join step as b on p.prev_step = b.step
left join step_name as q on p.prev_step = q.step
left join handoff_asked as a
    on
        p.kind in ('handoff_dropped', 'transfer', 'escalation')
        and p.prev_step = p.step and p.j = a.j
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
        h.j,
        h.giver,
        h.step as taker,
        g.owner as from_owner,
        s.owner as to_owner,
        g.team as from_team,
        s.team as to_team,
        g.channel as from_channel,
        s.channel as to_channel,
        s.first_t as occurred_t,
        greatest(s.first_t - g.last_t, 0) // 1000000 as latency_s,
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
    inner join step as s on h.step = s.step
    inner join step as g on h.giver = g.step
    left join taken as t on h.step = t.received_step
    union all by name
    select
        a.j,
        a.step as giver,
        null as taker,
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
    inner join step as g on a.step = g.step
    where a.received_step is null
)

select
    u.* exclude (j, giver, taker, occurred_t, due_t),
    j.journey_id,
    j.customer_key,
    a.step_id as from_step,
    b.step_id as to_step,
    make_timestamptz(u.occurred_t) as occurred_at,
    make_timestamptz(u.due_t) as due_at,
    f.is_final
from united as u
inner join journey as j on u.j = j.j
inner join final as f on u.j = f.j
inner join step_name as a on u.giver = a.step
left join step_name as b on u.taker = b.step;

create or replace view o_info_requests as
select
    r.* exclude (j, step, known_step, occurred_t, known_since),
    j.journey_id,
    n.step_id,
    k.step_id as known_step_id,
    e.touchpoint,
    e.owner,
    make_timestamptz(r.occurred_t) as occurred_at,
    make_timestamptz(r.known_since) as known_since,
    j.customer_key,
    f.is_final
from info_request as r
inner join journey as j on r.j = j.j
inner join final as f on r.j = f.j
inner join step as e on r.step = e.step
inner join step_name as n on r.step = n.step
left join step_name as k on r.known_step = k.step;

create or replace view o_promises as
select
    p.* exclude (j, step, customer, made_t, due_t, delivered_t),
    j.journey_id,
    j.customer_key,
    n.step_id,
    make_timestamptz(p.made_t) as made_at,
    make_timestamptz(p.due_t) as due_at,
    make_timestamptz(p.delivered_t) as delivered_at,
    case when p.delivered_t > p.due_t then (p.delivered_t - p.due_t) // 1000000 end as lateness_s,
    f.is_final
from promised as p
inner join journey as j on p.j = j.j
inner join final as f on p.j = f.j
inner join step_name as n on p.step = n.step;

create or replace view o_sla_results as
select
    j.journey_id,
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
inner join journey as j on r.j = j.j
inner join final as f on r.j = f.j;

create or replace table o_journeys as
with
channels as (
    select distinct
        j,
        channel
    from stepped
),

by_channel as (
    select
        j,
        count(channel) as n_channels
    from channels
    group by j
),

by_activity as (
    select
        j,
        sum(n)::bigint as n_completes,
        count(activity) as n_activities
    from (
        select
            j,
            activity,
            count(*) as n
        from stepped
        where direction = 'internal' and coalesce(lifecycle, 'complete') = 'complete'
        group by j, activity
    ) as every
    group by j
),

by_event as (
    select
        j,
        sum(wait_s)::bigint as customer_wait_s
    from stepped
    group by j
),

by_sale as (
    select
        e.j,
        count(*) as n_sold_inside
    from stepped as e
    inner join session as s on e.session = s.session
    where
        e.direction = 'outbound' and e.message_kind in ('marketing', 'upsell')
        and not e.is_message and s.is_contact and s.direction = 'inbound'
    group by e.j
),

waiting as (
    select j from stepped
    where waiting_for is not null or lifecycle in ('schedule', 'assign', 'suspend')
),

-- only of journeys in which anybody is said to wait
gaps as (
    select
        j,
        waiting_for,
        coalesce(lifecycle in ('schedule', 'assign', 'suspend'), false) as is_queued,
        coalesce(greatest(lead(t) over journey - t, 0), 0) as gap,
        owner_eff,
        t
    from stepped
    where j in (from waiting)
    window journey as (partition by j order by pos)
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
        j,
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
    group by j
),

repeats as (
    select
        j,
        count(*) as n_repeat_contacts
    from inbound
    where is_repeat
    group by j
),

places as (
    select distinct
        j,
        silo
    from step
),

silos as (
    select
        j,
        count(silo) as n_silos
    from places
    group by j
),

by_step as (
    select
        j,
        count(*) as n_steps,
        count(*) filter (where stage = 'before') as n_steps_before,
        count(*) filter (where stage = 'during') as n_steps_during,
        count(*) filter (where stage = 'after') as n_steps_after,
        arg_min(owner, step) as first_owner
    from step
    group by j
),

by_session as (
    select
        j,
        count(*) as n_sessions,
        count(*) filter (where is_contact) as n_contacts,
        count(*) filter (where is_contact and is_need_driven) as n_need_driven
    from session
    group by j
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

last_use as (
    select
        j,
        field,
        max(pos) as pos
    from field_use
    where basis = 0 and op <> 'verify'
    group by j, field
),

by_field as (
    select
        g.j,
        count(*) as n_fields_known,
        count(*) filter (where l.pos > g.pos) as n_fields_needed
    from gift as g
    inner join last_use as l on g.j = l.j and g.field = l.field
    where g.basis = 0
    group by g.j
),

by_request as (
    select
        j,
        count(*) filter (where is_reask and basis = 'observed') as n_reasked_observed,
        count(*) filter (where is_reask and basis = 'declared') as n_reasked_declared,
        count(*) filter (where is_reask and basis = 'inferred') as n_reasked_inferred,
        count(distinct field) filter (where is_reask and basis = 'observed') as n_fields_reasked
    from info_request
    group by j
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
    make_timestamptz(greatest(j.last_t, j.started_t)) as ended_at,
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
    v.n_contacts - v.n_need_driven + coalesce(i.n_sold_inside, 0) as n_company_driven,
    v.n_need_driven / nullif(v.n_contacts + coalesce(i.n_sold_inside, 0), 0) as need_driven_share,
    n.n_channels,
    coalesce(k.n_channel_switches, 0) as n_channel_switches,
    nullif(z.n_silos, 0) as n_silos,
    if(z.n_silos > 0, z.n_silos - 1, null) as silos_crossed,
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
    w.internal_wait_s,
    if(not w.is_without_hours, w.internal_wait_work_s, null)
        as internal_wait_work_s,
    w.third_party_wait_s,
    w.waited_for_customer_s,
    a.n_completes - a.n_activities as rework,
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
    c.* exclude (j, outcome01),
    q.* exclude (j),
    l.* exclude (j)
from journey as j
inner join final as f on j.j = f.j
inner join outcome as o on j.j = o.j
inner join types as t on j.journey_type = t.name
inner join by_event as e on j.j = e.j
inner join by_channel as n on j.j = n.j
inner join by_step as s on j.j = s.j
inner join silos as z on j.j = z.j
inner join by_session as v on j.j = v.j
inner join score as c on j.j = c.j
inner join carried as y on j.j = y.j
inner join measured_metric as m on y.load = m.load and m.grain = 'journey'
inner join journey_cost as q on j.j = q.j
inner join journey_logged as l on j.j = l.j
left join by_handoff as h on j.journey_id = h.journey_id
left join by_promise as p on j.journey_id = p.journey_id
left join by_kind as k on j.journey_id = k.journey_id
left join by_field as d on j.j = d.j
left join by_request as r on j.j = r.j
left join by_activity as a on j.j = a.j
left join by_sale as i on j.j = i.j
left join by_gap as w on j.j = w.j
left join repeats as x on j.j = x.j
left join busy as b on j.j = b.j;
