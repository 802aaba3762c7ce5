-- Purpose: the tables as rejse publishes them, each a view `out_<name>` that is then copied to
-- Parquet.
create macro step_name(journey_id, seq) as
concat(journey_id, '-', lpad(cast(seq as varchar), 4, '0'));
create macro session_name(journey_id, seq) as concat(journey_id, '-s', seq);

create temp view out_events as
select
    c.customer_key,
    e.* exclude (customer)
from events as e
inner join customers as c on e.customer = c.customer;

create temp view out_journeys as
select * exclude (j, first_step) from journeys;

create temp table ids as
select
    j,
    journey_id,
    customer_key,
    first_step,
    is_final,
    friction_hazard
from journeys;

-- What other tables say of a step: one narrow table, so that they join once a side.
create temp table named_steps as
select
    s.step,
    step_name(i.journey_id, s.step - i.first_step + 1) as step_id,
    s.owner,
    s.team,
    s.channel,
    s.touchpoint,
    s.us,
    s.last_us,
    y.owner as type_owner
from steps as s
inner join ids as i on s.j = i.j
inner join types as y on s.kind = y.kind;

create temp table named_sessions as
with numbered as (
    select
        session_pos,
        j,
        row_number() over () as place,
        running_max(case when begins then place_ end) as first_place
    from (
        select
            session_pos,
            j,
            row_number() over () as place_,
            coalesce(j != lag(j) over (), true) as begins
        from contacts
    ) as begun
)

select
    n.session_pos,
    n.place - n.first_place + 1 as seq,
    session_name(i.journey_id, n.place - n.first_place + 1) as session_id
from numbered as n
inner join ids as i on n.j = i.j;

create temp table asked_of_steps as
select
    step,
    count(*) as n_reasked
from requests
where known_pos is not null
group by step;

create temp view out_steps as
with ordered as (
    select
        *,
        lag(last_us) over () as previous_us
    from steps
)

select
    step_name(i.journey_id, s.step - i.first_step + 1) as step_id,
    i.journey_id,
    i.customer_key,
    s.step - i.first_step + 1 as seq,
    n.session_id,
    s.event_ids,
    s.touchpoint,
    s.activity,
    s.channel,
    s.direction,
    s.actor_type,
    p.stage,
    s.owner,
    s.team,
    coalesce(p.place_silo, cast(cast(s.owner as varchar) as silo)) as silo,
    coalesce(p.system, cast(s.owner as varchar), cast(s.channel as varchar)) as system,
    s.intent,
    make_timestamp(s.us) as started_at,
    make_timestamp(s.end_us) as ended_at,
    s.n_events,
    s.outcome,
    p.is_moment_of_truth,
    s.is_pushed,
    i.is_final,
    case when s.step > i.first_step then greatest(s.us - s.previous_us, 0) // 1000000 end
        as wait_before_s,
    s.queue_s,
    (s.end_us - s.us) // 1000000 as processing_s,
    coalesce(a.n_reasked, 0) as n_reasked,
    coalesce(h.hazard, 0) as hazard,
    friction_of(coalesce(h.hazard, 0)) as friction
from ordered as s
inner join ids as i on s.j = i.j
inner join named_sessions as n on s.session_pos = n.session_pos
left join places as p on s.touchpoint = p.touchpoint
left join asked_of_steps as a on s.step = a.step
left join hazards as h on s.step = h.step;

create temp view out_sessions as
select
    n.session_id,
    n.seq,
    i.journey_id,
    i.customer_key,
    i.is_final,
    c.family as channel_family,
    c.* exclude (
        session_pos, j, customer, last_pos, first_step, last_step, us, last_us, is_pushed,
        n_sales, family
    ),
    make_timestamp(c.us) as started_at,
    make_timestamp(c.last_us) as ended_at
from contacts as c
inner join named_sessions as n on c.session_pos = n.session_pos
inner join ids as i on c.j = i.j;

create temp view out_friction_evidence as
select
    concat(
        s.step_id, '-', e.kind, case when e.number > 1 then concat('-', e.number) else '' end
    ) as evidence_id,
    i.journey_id,
    s.step_id,
    i.customer_key,
    i.is_final,
    sp.step_id as prev_step_id,
    e.kind,
    case
        when e.kind in (
            'customer_wait', 'promise_broken', 'reopened', 'dead_end', 'abandonment',
            'internal_wait', 'rework', 'upsell_in_problem', 'over_pressure'
        ) then 'node'
        else 'edge'
    end as locus,
    case
        when e.kind = 'promise_broken' then coalesce(s.type_owner, cast(s.owner as varchar))
        when e.previous is null then cast(s.owner as varchar)
        else cast(sp.owner as varchar)
    end as owner,
    case
        when e.kind = 'handoff_dropped' then e.detail
        when e.kind in ('transfer', 'escalation') and e.previous = e.step
            then cast(t.to_owner as varchar)
        when e.previous is not null then cast(s.owner as varchar)
    end as owner_to,
    s.touchpoint,
    make_timestamp(e.us) as occurred_at,
    ['observed', 'declared'][e.basis + 1] as basis,
    e.raw as raw_value,
    e.expected as expected_value,
    e.weight as base_weight,
    e.intensity,
    e.confidence,
    e.severity,
    e.kind_rank,
    e.hazard,
    e.hazard / i.friction_hazard as share,
    e.minutes_customer,
    case
        when e.minutes_customer is not null
            then case when e.is_waited then 'measured' else 'assumed' end
    end as minutes_customer_basis,
    e.minutes_company,
    case
        when e.minutes_company is not null
            then case when e.is_worked then 'measured' else 'assumed' end
    end as minutes_company_basis,
    e.cost,
    case when e.n_priced > 0 then e.n_priced = 2 end as is_cost_whole,
    e.currency,
    case
        when e.earlier_pos is null then [concat('events/', t.id)]
        else [concat('events/', te.id), concat('events/', t.id)]
    end as event_ids,
    e.detail
from evidence as e
inner join named_steps as s on e.step = s.step
left join named_steps as sp on e.previous = sp.step
inner join told as t on e.pos = t.pos
inner join ids as i on t.j = i.j
left join told as te on e.earlier_pos = te.pos;

-- noqa: disable=AL03
create temp view out_handoffs as
with taken as (
    select
        received_step as step,
        min(due) as due
    from asked
    where received_step is not null
    group by received_step
)

select
    r.step_id as handoff_id,
    i.journey_id,
    i.customer_key,
    i.is_final,
    g.step_id as from_step,
    r.step_id as to_step,
    g.owner as from_owner,
    r.owner as to_owner,
    g.team as from_team,
    r.team as to_team,
    g.channel as from_channel,
    r.channel as to_channel,
    make_timestamp(r.us) as occurred_at,
    greatest(r.us - g.last_us, 0) // 1000000 as latency_s,
    c.n_known as n_fields_known,
    c.n_passed as n_fields_passed,
    c.n_again as n_fields_reasked,
    c.context,
    case when c.is_declared then 'declared' else 'observed' end as basis,
    case when t.due is not null then false end as is_dropped,
    p.step is not null as is_ping_pong,
    make_timestamp(t.due) as due_at
from context as c
inner join ids as i on c.j = i.j
inner join named_steps as g on c.giver = g.step
inner join named_steps as r on c.step = r.step
left join ping_pongs as p on c.step = p.step
left join taken as t on c.step = t.step
union all
select
    concat(g.step_id, '-to-events/', a.id),
    i.journey_id,
    i.customer_key,
    i.is_final,
    g.step_id,
    null,
    g.owner,
    a.to_owner,
    g.team,
    null,
    g.channel,
    null,
    make_timestamp(a.us),
    null,
    null,
    null,
    null,
    null,
    'observed',
    case when a.is_dropped then true end,
    false,
    make_timestamp(a.due)
from asked as a
inner join ids as i on a.j = i.j
inner join named_steps as g on a.step = g.step
where a.received_step is null;

-- noqa: enable=AL03
create temp view out_info_requests as
select
    i.journey_id,
    n.step_id,
    i.customer_key,
    i.is_final,
    r.field,
    n.touchpoint,
    n.owner,
    coalesce(p.system, cast(t.owner as varchar)) as system_asking,
    coalesce(kp.system, cast(k.owner as varchar)) as system_known,
    kn.step_id as known_step_id,
    k.time as known_since,
    t.time as occurred_at,
    r.known_pos is not null as is_reask,
    a.agrees as value_agrees,
    ['observed', 'declared'][r.basis + 1] as basis
from requests as r
inner join ids as i on r.j = i.j
inner join named_steps as n on r.step = n.step
inner join told as t on r.pos = t.pos
left join told as k on r.known_pos = k.pos
left join named_steps as kn on k.step = kn.step
left join places as p on t.touchpoint = p.touchpoint
left join places as kp on k.touchpoint = kp.touchpoint
left join answers as a on r.step = a.step and r.field = a.field;

create temp view out_promises as
select
    p.promise_id,
    i.journey_id,
    n.step_id,
    i.customer_key,
    i.is_final,
    p.kind,
    p.made_by,
    p.owner,
    make_timestamp(p.us) as made_at,
    make_timestamp(p.due) as due_at,
    make_timestamp(p.delivered_us) as delivered_at,
    p.status,
    case when p.delivered_us > p.due then (p.delivered_us - p.due) // 1000000 end as lateness_s,
    p.n_moves
from promises as p
inner join ids as i on p.j = i.j
inner join named_steps as n on p.step = n.step;

create temp view out_sla_results as
select
    i.journey_id,
    i.customer_key,
    l.sla,
    l.level as kind,
    coalesce(n.type_owner, cast(n.owner as varchar)) as owner,
    make_timestamp(l.us) as started_at,
    make_timestamp(l.due) as due_at,
    make_timestamp(l.met_us) as met_at,
    (l.met_us - l.us) // 1000000 as elapsed_s,
    l.status,
    i.is_final
from levels as l
inner join ids as i on l.j = i.j
inner join named_steps as n on l.step = n.step;
