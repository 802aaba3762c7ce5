-- Purpose: journeys with their metrics and scores. Grain: one journey.
create temp table of_steps as
select
    s.j,
    min(s.step) as first_step,
    count(*) as n_steps,
    -- where no step has a stage, nothing is known of stages
    case when count(p.stage) > 0 then count(*) filter (where p.stage = 'before') end
        as n_steps_before,
    case when count(p.stage) > 0 then count(*) filter (where p.stage = 'during') end
        as n_steps_during,
    case when count(p.stage) > 0 then count(*) filter (where p.stage = 'after') end
        as n_steps_after,
    nullif(coalesce(bit_count(bit_or(
        cast(1 as bigint)
        << cast(
            enum_code(coalesce(p.place_silo, cast(cast(s.owner as varchar) as silo))) as integer
        )
    )), 0), 0) as n_silos
from steps as s
left join places as p on s.touchpoint = p.touchpoint
group by s.j;

create temp table of_contacts as
select
    j,
    count(*) as n_sessions,
    count(*) filter (where is_contact) as n_contacts,
    count(*) filter (where is_need_driven) as n_need_driven,
    count(*) filter (where is_contact and not is_need_driven)
    + cast(coalesce(sum(n_sales) filter (where is_contact and direction = 'inbound'), 0) as bigint)
        as n_company_driven
from contacts
group by j;

create temp table of_handoffs as
select
    c.j,
    count(*) as n_handoffs,
    count(*) filter (where c.context = 'full') as n_handoffs_full,
    count(*) filter (where c.context = 'part') as n_handoffs_part,
    count(*) filter (where c.context = 'none') as n_handoffs_none,
    count(*) filter (where c.context = 'unknown') as n_handoffs_unknown,
    count(*) filter (where p.step is not null) as n_ping_pong
from context as c
left join ping_pongs as p on c.step = p.step
group by c.j;

create temp table of_asked as
select
    j,
    count(*) filter (where is_dropped) as n_handoffs_dropped,
    max(due) as due
from asked
group by j;

create temp table of_requests as
select
    j,
    count(*) filter (where basis = 0) as n_reasked_observed,
    count(*) filter (where basis = 1) as n_reasked_declared,
    count(distinct field) filter (where basis = 0) as n_fields_reasked
from requests
where known_pos is not null
group by j;

create temp table of_fields as
with needed as (
    select
        k.j,
        k.field,
        bool_or(k.first_observed is not null) as is_known,
        bool_or(k.first_observed < k.pos) as is_needed
    from known as k
    where k.basis = 0
    group by k.j, k.field
)

select
    j,
    count(*) filter (where is_known) as n_fields_known,
    count(*) filter (where is_needed) as n_needed
from needed
group by j;

create temp table of_promises as
select
    j,
    count(*) as n_promises,
    count(*) filter (where status = 'kept') as n_promises_kept,
    count(*) filter (where status = 'late') as n_promises_late,
    count(*) filter (where status = 'broken') as n_promises_broken,
    count(*) filter (where status = 'open') as n_promises_open,
    max(coalesce(due, us) + 30 * 86400000000) as until
from promises
group by j;

create temp table hazards as
select
    e.step,
    any_value(s.j) as j,
    sum(e.hazard) as hazard,
    sum(e.hazard_lo) as hazard_lo,
    sum(e.hazard_hi) as hazard_hi,
    count(*) as n_evidence,
    count(*) filter (where e.kind = 'channel_switch') as n_channel_switches,
    count(*) filter (where e.kind = 'channel_fallback') as n_fallbacks,
    count(*) filter (where e.kind = 'reopened') as n_reopens,
    count(*) filter (where e.kind = 'transfer') as n_transfers,
    count(*) filter (where e.kind = 'escalation') as n_escalations,
    count(*) filter (where e.kind = 'dead_end') as n_dead_ends,
    count(*) filter (where e.kind = 'abandonment') as n_abandoned,
    count(*) filter (where e.kind = 'info_conflict') as n_info_conflicts,
    coalesce(sum(e.hazard) filter (
        where e.kind not in (
            'customer_wait', 'promise_broken', 'reopened', 'dead_end', 'abandonment',
            'internal_wait', 'rework', 'upsell_in_problem', 'over_pressure'
        )
    ), 0) as edge_hazard
from evidence as e
inner join steps as s on e.step = s.step
group by e.step;

create temp table of_evidence as
select
    j,
    sum(hazard) as hazard,
    sum(hazard_lo) as hazard_lo,
    sum(hazard_hi) as hazard_hi,
    sum(edge_hazard) as edge_hazard,
    cast(sum(n_evidence) as bigint) as n_evidence,
    cast(sum(n_channel_switches) as bigint) as n_channel_switches,
    cast(sum(n_fallbacks) as bigint) as n_fallbacks,
    cast(sum(n_reopens) as bigint) as n_reopens,
    cast(sum(n_transfers) as bigint) as n_transfers,
    cast(sum(n_escalations) as bigint) as n_escalations,
    cast(sum(n_dead_ends) as bigint) as n_dead_ends,
    cast(sum(n_abandoned) as bigint) as n_abandoned,
    cast(sum(n_info_conflicts) as bigint) as n_info_conflicts
from hazards
group by j;

create temp table of_repeats as
select
    j,
    count(*) as n_repeat_contacts
from repeats
group by j;

create temp table of_levels as
select
    j,
    max(due + 30 * 86400000000) as until
from levels
group by j;

create temp table of_costs as
select
    s.j,
    sum(e.minutes_customer) as friction_minutes_customer,
    sum(e.minutes_company) as friction_minutes_company,
    sum(
        case when e.is_waited then e.minutes_customer else 0 end
        + case when e.is_worked then e.minutes_company else 0 end
    ) / nullif(sum(coalesce(e.minutes_customer, 0) + coalesce(e.minutes_company, 0)), 0)
        as friction_minutes_measured_share,
    (count(e.minutes_customer) + count(e.minutes_company)) / (2 * count(*))
        as friction_minutes_known_share,
    sum(e.n_priced) / (2 * count(*)) as friction_cost_known_share,
    sum(e.cost) as friction_cost,
    count(distinct e.currency) as n_currencies,
    any_value(e.currency) as friction_currency
from evidence as e
inner join steps as s on e.step = s.step
group by s.j;

-- Busy time is the union of the intervals of activities: that of talk, from the event's time on.
create temp table of_talks as
with talks as (
    select
        t.j,
        greatest(t.us, e.start_us) as begin_us,
        end_of(t.us, t.talk_s) as end_us,
        t.pos
    from told as t
    inner join of_events as e on t.j = e.j
    where t.talk_s > 0
),

reached as (
    select
        j,
        begin_us,
        end_us,
        max(end_us) over (
            partition by j order by pos rows between unbounded preceding and 1 preceding
        ) as reached_us
    from talks
)

select
    j,
    cast(sum(greatest(end_us - greatest(begin_us, reached_us), 0)) as bigint) as busy
from reached
group by j;

create macro friction_of(h) as least(100 * (1 - exp(-h)), 99.99999999999999);
create macro health_of(outcome, hazard) as
case
    when outcome is not null
        then 100 * 0.75 / (0.35 / greatest(outcome, 0.1) + 0.40 / greatest(exp(-hazard), 0.1))
end;

create temp table journeys as
with joined as (
    select
        substr(sha256(concat_ws(
            chr(31),
            u.customer_key,
            case when e.case_code is null then 'none' else 'case' end,
            coalesce(k.case_no, cast(e.kind as varchar)),
            'events',
            e.first_id
        )), 1, 16) as journey_id,
        u.customer_key,
        k.case_no as case_id,
        e.*,
        d.* exclude (j),
        s.* exclude (j),
        c.* exclude (j),
        coalesce(t.owner, cast(e.first_owner as varchar)) as owner,
        t.expects_outcome,
        b.busy,
        case when e.has_owner then coalesce(h.n_handoffs, 0) end as n_handoffs,
        case when e.has_owner then coalesce(h.n_handoffs_full, 0) end as n_handoffs_full,
        case when e.has_owner then coalesce(h.n_handoffs_part, 0) end as n_handoffs_part,
        case when e.has_owner then coalesce(h.n_handoffs_none, 0) end as n_handoffs_none,
        case when e.has_owner then coalesce(h.n_handoffs_unknown, 0) end as n_handoffs_unknown,
        case when e.has_owner then coalesce(h.n_ping_pong, 0) end as n_ping_pong,
        coalesce(a.n_handoffs_dropped, 0) as n_handoffs_dropped,
        coalesce(r.n_reasked_observed, 0) as n_reasked_observed,
        case when e.has_touchpoint then coalesce(r.n_reasked_declared, 0) end as n_reasked_declared,
        coalesce(f.n_fields_known, 0) as n_fields_known,
        1 - coalesce(r.n_fields_reasked, 0) / nullif(f.n_needed, 0) as data_continuity,
        coalesce(p.n_promises, 0) as n_promises,
        coalesce(p.n_promises_kept, 0) as n_promises_kept,
        coalesce(p.n_promises_late, 0) as n_promises_late,
        coalesce(p.n_promises_broken, 0) as n_promises_broken,
        coalesce(p.n_promises_open, 0) as n_promises_open,
        coalesce(v.hazard, 0) as hazard,
        coalesce(v.hazard_lo, 0) as hazard_lo,
        coalesce(v.hazard_hi, 0) as hazard_hi,
        v.edge_hazard / v.hazard as friction_edge_share,
        coalesce(v.n_evidence, 0) as n_evidence,
        coalesce(v.n_channel_switches, 0) as n_channel_switches,
        coalesce(v.n_fallbacks, 0) as n_fallbacks,
        -- after sales alone an unknown intent is not known to come back
        case when e.has_intent or not e.is_sold_only then coalesce(v.n_reopens, 0) end
            as n_reopens,
        coalesce(v.n_transfers, 0) as n_transfers,
        coalesce(v.n_escalations, 0) as n_escalations,
        coalesce(v.n_dead_ends, 0) as n_dead_ends,
        coalesce(v.n_abandoned, 0) as n_abandoned,
        coalesce(v.n_info_conflicts, 0) as n_info_conflicts,
        case when e.has_intent then coalesce(w.n_repeat_contacts, 0) end as n_repeat_contacts,
        case
            when m.friction_minutes_customer is not null then m.friction_minutes_customer
            when y.yes and v.n_evidence is null then 0
        end as friction_minutes_customer,
        case
            when m.friction_minutes_company is not null then m.friction_minutes_company
            when y.yes and v.n_evidence is null then 0
        end as friction_minutes_company,
        m.friction_minutes_measured_share,
        m.friction_minutes_known_share,
        case when y.yes then m.friction_cost_known_share end as friction_cost_known_share,
        case
            when m.n_currencies > 1 then null
            when m.friction_cost is not null then m.friction_cost
            when y.yes and v.n_evidence is null then 0
        end as friction_cost,
        case when m.n_currencies = 1 then m.friction_currency end as friction_currency,
        coalesce(e.start_us, e.first_us) as started_us,
        greatest(
            d.deadline,
            e.last_us + g.gap,
            p.until,
            a.due,
            l.until
        ) + 86400000000 as final_us
    from of_events as e
    inner join closing as d on e.j = d.j
    inner join of_steps as s on e.j = s.j
    inner join of_contacts as c on e.j = c.j
    inner join types as t on e.kind = t.kind
    inner join customers as u on e.customer = u.customer
    left join of_handoffs as h on e.j = h.j
    left join of_asked as a on e.j = a.j
    left join of_requests as r on e.j = r.j
    left join of_fields as f on e.j = f.j
    left join of_promises as p on e.j = p.j
    left join of_evidence as v on e.j = v.j
    left join of_repeats as w on e.j = w.j
    left join of_levels as l on e.j = l.j
    left join of_costs as m on e.j = m.j
    left join of_talks as b on e.j = b.j
    left join cases as k on e.case_code = k.case_code
    cross join largest_gap as g
    cross join is_priced as y
),

closed as (
    select
        *,
        final_us < passed as is_final
    from joined
),

ended as (
    select
        c.*,
        case
            when not c.is_closed then null
            when c.by_need <= least(c.by_cap, c.by_rule) then 'new need'
            when c.by_cap <= c.by_rule then 'cap'
            when c.by_end is not null then 'end rule'
            else 'silence'
        end as close_reason,
        case
            when c.is_closed
                then
                    coalesce(
                        cast(c.decided.outcome as varchar),
                        case when c.expects_outcome then 'unresolved' end
                    )
        end as outcome,
        case
            when c.is_closed
                then
                    coalesce(
                        c.decided.value, case when c.expects_outcome then cast(0.0 as double) end
                    )
        end as outcome01,
        greatest(c.end_us, c.started_us) as ended_us,
        c.decided.us as decided_us
    from closed as c
)

select
    j,
    journey_id,
    customer_key,
    first_step,
    kind as journey_type,
    case_id,
    owner,
    make_timestamp(started_us) as started_at,
    make_timestamp(last_us) as ended_at,
    case when is_closed then 'closed' else 'open' end as state,
    close_reason,
    is_final,
    n_events,
    n_steps,
    n_sessions,
    n_steps_before,
    n_steps_during,
    n_steps_after,
    n_channels,
    n_silos,
    n_silos - 1 as silos_crossed,
    case when n_internal > 0 then n_internal - n_internal_kinds end as rework,
    case when start_us is not null then (ended_us - started_us) // 1000000 end as throughput_s,
    case when start_us is not null then coalesce(busy, 0) // 1000000 end as busy_s,
    throughput_s - busy_s as idle_s,
    case
        when is_held and is_closed and start_us is not null
            then greatest(decided_us - started_us, 0) // 1000000
    end as time_to_resolution_s,
    customer_wait_s,
    need_driven_share,
    n_contacts,
    n_need_driven,
    n_company_driven,
    n_channel_switches,
    n_repeat_contacts,
    n_fallbacks,
    n_reopens,
    n_transfers,
    n_escalations,
    n_dead_ends,
    n_abandoned,
    n_info_conflicts,
    n_handoffs,
    n_handoffs_full,
    n_handoffs_part,
    n_handoffs_none,
    n_handoffs_unknown,
    n_handoffs_dropped,
    n_ping_pong,
    n_reasked_observed,
    n_reasked_declared,
    n_fields_known,
    data_continuity,
    n_promises,
    n_promises_kept,
    n_promises_late,
    n_promises_broken,
    n_promises_open,
    n_evidence,
    hazard as friction_hazard,
    friction_of(hazard) as friction_score,
    friction_of(hazard_lo) as friction_score_lo,
    friction_of(hazard_hi) as friction_score_hi,
    friction_edge_share,
    friction_minutes_customer,
    friction_minutes_company,
    friction_minutes_measured_share,
    friction_minutes_known_share,
    friction_cost_known_share,
    friction_cost,
    friction_currency,
    outcome,
    case
        when outcome is not null
            then case when is_recorded then 'recorded' else 'assumed' end
    end as outcome_basis,
    outcome01,
    exp(-hazard) as delivery01,
    health_of(outcome01, hazard) as health_ops,
    health_of(outcome01, hazard_hi) as health_ops_lo,
    health_of(outcome01, hazard_lo) as health_ops_hi,
    case
        when outcome01 is null then null
        when
            0.35 * (1 / greatest(outcome01, 0.1) - 1)
            >= 0.40 * (1 / greatest(exp(-hazard), 0.1) - 1)
            then case when outcome01 < 1 then 'outcome' end
        else 'delivery'
    end as limiting_component
from (
    select
        *,
        n_need_driven / nullif(n_need_driven + n_company_driven, 0) as need_driven_share
    from ended
) as ended;

-- Nothing below looks at these: their memory is for what is written.
drop table of_events;
drop table of_steps;
drop table of_contacts;
drop table of_handoffs;
drop table of_asked;
drop table of_requests;
drop table of_fields;
drop table of_promises;
drop table of_evidence;
drop table of_repeats;
drop table of_levels;
drop table of_costs;
drop table of_talks;
drop table closing;
drop table answered;
drop table entries;
drop table known;
drop table gives;
drop table seen;
drop table switches;
drop table fallbacks;
drop table repeats;
drop table rescues;
drop table stood;
drop table later_kinds;
