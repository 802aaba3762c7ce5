-- purpose: pieces of friction of the launch kinds and channel switches, before ranking
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: session, journey, step, stepped, handoff, handoff_asked, info_request, promised,
--          reopening
--          `proof_place`: the event whose work the friction made necessary; `waited_s`: measured
create or replace table node_kind as
select unnest([
    'customer_wait', 'promise_broken', 'reopened', 'dead_end', 'abandonment', 'internal_wait',
    'rework', 'upsell_in_problem', 'over_pressure'
]) as kind;

-- contacts that the customer made, beside the one before on the journey, and the one before of the
-- same intent on any
create or replace table inbound as
with
alike as (
    select
        s.session,
        lag(s.session) over same as session_before,
        lag(s.first_t) over same as t_before,
        lag(s.outcome) over same as outcome_before
    from session as s
    inner join journey as j on s.j = j.j
    where s.is_contact and s.direction = 'inbound' and s.intent is not null
    window same as (partition by j.customer, s.intent order by s.first_place)
),

contacts as (
    select * from session
    where is_contact and direction = 'inbound'
    order by session
),

followed as (
    select
        *,
        not changed(j) as is_later,
        lag(session) over () as session_before,
        lag(channel_family) over () as family_before,
        lag(channel) over () as channel_before,
        lag(intent) over () as intent_before,
        lag(outcome) over () as outcome_before,
        lag(has_human) over () as human_before
    from contacts
)

select
    c.session,
    c.j,
    c.seq,
    c.channel_family,
    c.channel,
    c.intent,
    c.outcome,
    c.has_human,
    c.first_place,
    c.first_pos,
    c.first_t,
    c.first_step,
    if(c.is_later, c.session_before, null) as earlier,
    if(c.is_later, c.family_before, null) as earlier_family,
    if(c.is_later, c.channel_before, null) as earlier_channel,
    if(c.is_later, c.intent_before, null) as earlier_intent,
    if(c.is_later, c.outcome_before, null) as earlier_outcome,
    if(c.is_later, c.human_before, null) as earlier_human,
    a.session_before as alike,
    coalesce(c.first_t - a.t_before <= w.repeat_window, false) as is_repeat,
    a.outcome_before as alike_outcome
from followed as c
cross join settings as w
left join alike as a on c.session = a.session;

-- An edge between two contacts begins at the earlier one's last step before the later one's first
-- event.
create or replace table edge as
with
linked as (
    select
        'repeat_contact' as kind,
        inbound.*,
        inbound.alike as from_session,
        1.0 as confidence,
        inbound.alike as detailed
    from inbound
    where inbound.is_repeat and inbound.alike_outcome not in ('informed', 'sold')
    union all by name
    select
        'channel_fallback' as kind,
        inbound.*,
        inbound.earlier as from_session,
        if(inbound.earlier_outcome is null, 0.5, 1.0) as confidence,
        inbound.earlier as detailed
    from inbound
    where
        not inbound.earlier_human
        and inbound.earlier_channel in ('web', 'app', 'chatbot', 'device')
        and inbound.has_human
        and coalesce(inbound.earlier_intent = inbound.intent, true)
        and coalesce(inbound.earlier_outcome not in ('resolved', 'sold', 'informed'), true)
    union all by name
    select
        'channel_switch' as kind,
        inbound.*,
        inbound.earlier as from_session,
        if(inbound.earlier_outcome is null, 0.5, 1.0) as confidence,
        null as detailed
    from inbound
    where
        inbound.channel_family <> inbound.earlier_family
        and coalesce(inbound.earlier_intent = inbound.intent, true)
        and coalesce(inbound.earlier_outcome not in ('resolved', 'sold', 'informed'), true)
    union all by name
    select
        'self_rescue' as kind,
        inbound.*,
        inbound.earlier as from_session,
        1.0 as confidence,
        inbound.earlier as detailed
    from inbound
    where
        inbound.earlier_human
        and inbound.earlier_outcome in (
            'unresolved', 'partly', 'error', 'no_result', 'abandoned', 'escalated'
        )
        and inbound.channel = 'web' and not inbound.has_human
        and inbound.earlier_intent = inbound.intent
),

begun as (
    select
        l.kind,
        l.session,
        max(e.step) as prev_step
    from linked as l
    inner join stepped as e on l.from_session = e.session
    where if(l.kind = 'repeat_contact', e.place < l.first_place, e.pos < l.first_pos)
    group by l.kind, l.session
)

select
    l.j,
    l.first_step as step,
    b.prev_step,
    l.kind,
    l.first_t as occurred_t,
    1.0 as x,
    1.0 as g,
    l.confidence,
    'observed' as basis,
    if(l.detailed is null, '', j.journey_id || '-s' || d.seq) as detail,
    if(l.kind in ('repeat_contact', 'channel_fallback'), l.first_place, null) as proof_place
from linked as l
left join begun as b on l.kind = b.kind and l.session = b.session
left join session as d on l.detailed = d.session
left join journey as j on d.j = j.j;

create or replace table piece as
with
chat as (
    select
        e.j,
        e.step,
        e.session,
        e.place,
        e.pos,
        e.t,
        e.outcome,
        e.channel = 'chatbot' and e.actor_type <> 'human' as is_bot,
        e.actor_type = 'human' or e.channel = 'chat' as is_human
    from stepped as e
    inner join session as s on e.session = s.session and s.direction = 'inbound'
    where e.family = 'chat'
),

first_human as (
    select
        session,
        min(pos) as pos
    from chat
    where is_human
    group by session
),

fallback_within as (
    select
        h.j,
        h.step,
        max(b.step) filter (where b.step <> h.step) as prev_step,
        'channel_fallback' as kind,
        h.t as occurred_t,
        1.0 as x,
        1.0 as g,
        if(arg_max(b.outcome, b.pos) is null, 0.5, 1.0) as confidence,
        'observed' as basis,
        any_value(j.journey_id || '-s' || s.seq) as detail,
        h.place as proof_place
    from first_human as f
    inner join chat as h on f.session = h.session and f.pos = h.pos
    inner join chat as b on f.session = b.session and f.pos > b.pos
    inner join session as s on f.session = s.session
    inner join journey as j on s.j = j.j
    group by h.j, h.step, h.t, h.session, h.place
    having
        bool_or(b.is_bot)
        and coalesce(arg_max(b.outcome, b.pos) not in ('resolved', 'sold', 'informed'), true)
),

reasked as (
    select
        r.j,
        r.step,
        b.step as prev_step,
        'reasked_info' as kind,
        min(r.occurred_t) as occurred_t,
        count(*)::double as x,
        1 - exp(-count(*) / 4) as g,
        case r.basis when 'observed' then 1.0 when 'declared' then 0.6 else 0.3 end as confidence,
        r.basis,
        r.system_known as detail,
        arg_min(e.place, (r.ask_pos, r.known_pos)) as proof_place
    from info_request as r
    inner join stepped as e on r.j = e.j and r.proof_pos = e.pos
    left join step as b on r.j = b.j and b.step = r.step - 1
    where r.is_reask
    group by r.j, r.step, b.step, r.system_known, r.basis
),

no_context as (
    select
        handoff.j,
        handoff.step,
        handoff.giver as prev_step,
        'handoff_without_context' as kind,
        s.first_t as occurred_t,
        (handoff.n_known - handoff.n_passed)::double as x,
        1.0 as g,
        (1 - handoff.n_passed / handoff.n_known) * if(handoff.is_declared, 0.6, 1.0) as confidence,
        if(handoff.is_declared, 'declared', 'observed') as basis,
        '' as detail
    from handoff
    inner join step as s on handoff.step = s.step
    where handoff.context in ('none', 'part')
),

dropped as (
    select
        j,
        step,
        step as prev_step,
        'handoff_dropped' as kind,
        due_t as occurred_t,
        1.0 as x,
        1.0 as g,
        1.0 as confidence,
        'observed' as basis,
        format('{:09d}', place) as detail
    from handoff_asked
    where is_dropped
),

waited as (
    select
        j,
        step,
        null as prev_step,
        'customer_wait' as kind,
        t as occurred_t,
        (wait_s - expected_wait_s) / greatest(expected_wait_s, 1) as x,
        1 - exp(-(wait_s - expected_wait_s) / greatest(expected_wait_s, 1)) as g,
        1.0 as confidence,
        'observed' as basis,
        format('{:09d}', place) as detail,
        wait_s as waited_s
    from stepped
    where wait_s > expected_wait_s
),

broken as (
    select
        j,
        step,
        null as prev_step,
        'promise_broken' as kind,
        coalesce(due_t, made_t) as occurred_t,
        1.0 as x,
        1.0 as g,
        1.0 as confidence,
        'observed' as basis,
        promise_id || if(status = 'late', ' late', '') as detail,
        owner
    from promised
    where status in ('broken', 'late')
),

reopened as (
    select
        j,
        step,
        null as prev_step,
        'reopened' as kind,
        t as occurred_t,
        1.0 as x,
        1.0 as g,
        confidence,
        'observed' as basis,
        '' as detail,
        place as proof_place
    from reopening
)

select * from edge  -- noqa: AM07
union all by name
select * from fallback_within
union all by name
select * from reasked
union all by name
select * from no_context
union all by name
select * from dropped
union all by name
select * from waited
union all by name
select * from broken
union all by name
select * from reopened;
