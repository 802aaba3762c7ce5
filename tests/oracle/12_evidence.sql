-- purpose: pieces of friction of the launch kinds and channel switches, before ranking
-- grain:   one row per piece
-- key:     step_id, kind, detail
-- sources: session, step, stepped, handoff, handoff_asked, info_request, promised, reopening
--          `proof_place`: the event whose work the friction made necessary; `waited_s`: measured
create or replace table node_kind as
select unnest([
    'customer_wait', 'promise_broken', 'reopened', 'dead_end', 'abandonment', 'internal_wait',
    'rework', 'upsell_in_problem', 'over_pressure'
]) as kind;

-- contacts that the customer made, beside the one before on the journey, and the one before of the
-- same intent on any
create or replace table inbound as
select
    *,
    lag(struct_pack(
        session_id := session_id, family := channel_family, channel := channel,
        intent := intent, outcome := outcome, has_human := has_human
    )) over (partition by journey_id order by seq) as earlier,
    lag(struct_pack(session_id := session_id, first_t := first_t, outcome := outcome)) over (
        partition by customer_key, intent order by first_place
    ) as alike
from session
where is_contact and direction = 'inbound';

-- An edge between two contacts begins at the earlier one's last step before the later one's first
-- event.
create or replace table edge as
with
linked as (
    select
        'repeat_contact' as kind,
        inbound.*,
        inbound.alike.session_id as from_session,
        1.0 as confidence,
        inbound.alike.session_id as detail
    from inbound
    where
        inbound.intent is not null
        and inbound.first_t - inbound.alike.first_t <= (select s.repeat_window from settings as s)
        and inbound.alike.outcome not in ('informed', 'sold')
    union all by name
    select
        'channel_fallback' as kind,
        inbound.*,
        inbound.earlier.session_id as from_session,
        if(inbound.earlier.outcome is null, 0.5, 1.0) as confidence,
        inbound.earlier.session_id as detail
    from inbound
    where
        not inbound.earlier.has_human
        and inbound.earlier.channel in ('web', 'app', 'chatbot', 'device')
        and inbound.has_human
        and coalesce(inbound.earlier.intent = inbound.intent, true)
        and coalesce(inbound.earlier.outcome not in ('resolved', 'sold', 'informed'), true)
    union all by name
    select
        'channel_switch' as kind,
        inbound.*,
        inbound.earlier.session_id as from_session,
        if(inbound.earlier.outcome is null, 0.5, 1.0) as confidence,
        '' as detail
    from inbound
    where
        inbound.channel_family <> inbound.earlier.family
        and coalesce(inbound.earlier.intent = inbound.intent, true)
        and coalesce(inbound.earlier.outcome not in ('resolved', 'sold', 'informed'), true)
    union all by name
    select
        'self_rescue' as kind,
        inbound.*,
        inbound.earlier.session_id as from_session,
        1.0 as confidence,
        inbound.earlier.session_id as detail
    from inbound
    where
        inbound.earlier.has_human
        and inbound.earlier.outcome in (
            'unresolved', 'partly', 'error', 'no_result', 'abandoned', 'escalated'
        )
        and inbound.channel = 'web' and not inbound.has_human
        and inbound.earlier.intent = inbound.intent
),

begun as (
    select
        l.kind,
        l.session_id,
        arg_max(e.step_id, e.pos) as prev_step_id
    from linked as l
    inner join stepped as e on l.from_session = e.session_id
    where if(l.kind = 'repeat_contact', e.place < l.first_place, e.pos < l.first_pos)
    group by l.kind, l.session_id
)

select
    l.journey_id,
    l.first_step as step_id,
    b.prev_step_id,
    l.kind,
    l.first_t as occurred_t,
    1.0 as x,
    1.0 as g,
    l.confidence,
    'observed' as basis,
    l.detail,
    if(l.kind in ('repeat_contact', 'channel_fallback'), l.first_place, null) as proof_place
from linked as l
left join begun as b on l.kind = b.kind and l.session_id = b.session_id;

create or replace table piece as
with
chat as (
    select
        e.*,
        e.channel = 'chatbot' and e.actor_type <> 'human' as is_bot,
        e.actor_type = 'human' or e.channel = 'chat' as is_human
    from stepped as e
    inner join session as s on e.session_id = s.session_id and s.direction = 'inbound'
    where e.family = 'chat'
),

first_human as (
    select
        session_id,
        min(pos) as pos
    from chat
    where is_human
    group by session_id
),

fallback_within as (
    select
        h.journey_id,
        h.step_id,
        arg_max(b.step_id, b.pos) filter (where b.step_id <> h.step_id) as prev_step_id,
        'channel_fallback' as kind,
        h.t as occurred_t,
        1.0 as x,
        1.0 as g,
        if(arg_max(b.outcome, b.pos) is null, 0.5, 1.0) as confidence,
        'observed' as basis,
        h.session_id as detail,
        h.place as proof_place
    from first_human as f
    inner join chat as h on f.session_id = h.session_id and f.pos = h.pos
    inner join chat as b on f.session_id = b.session_id and f.pos > b.pos
    group by h.journey_id, h.step_id, h.t, h.session_id, h.place
    having
        bool_or(b.is_bot)
        and coalesce(arg_max(b.outcome, b.pos) not in ('resolved', 'sold', 'informed'), true)
),

reasked as (
    select
        r.journey_id,
        r.step_id,
        b.step_id as prev_step_id,
        'reasked_info' as kind,
        min(r.occurred_t) as occurred_t,
        count(*)::double as x,
        1 - exp(-count(*) / 4) as g,
        case r.basis when 'observed' then 1.0 when 'declared' then 0.6 else 0.3 end as confidence,
        r.basis,
        r.system_known as detail,
        arg_min(e.place, (r.ask_pos, r.known_pos)) as proof_place
    from info_request as r
    inner join stepped as e on r.journey_id = e.journey_id and r.proof_pos = e.pos
    left join step as b on r.journey_id = b.journey_id and b.seq = r.seq - 1
    where r.is_reask
    group by r.journey_id, r.step_id, b.step_id, r.system_known, r.basis
),

no_context as (
    select
        handoff.journey_id,
        handoff.step_id,
        giver.step_id as prev_step_id,
        'handoff_without_context' as kind,
        handoff.first_t as occurred_t,
        (handoff.n_known - handoff.n_passed)::double as x,
        1.0 as g,
        (1 - handoff.n_passed / handoff.n_known) * if(handoff.is_declared, 0.6, 1.0) as confidence,
        if(handoff.is_declared, 'declared', 'observed') as basis,
        '' as detail
    from handoff
    where handoff.context in ('none', 'part')
),

dropped as (
    select
        journey_id,
        step_id,
        step_id as prev_step_id,
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
        journey_id,
        step_id,
        null as prev_step_id,
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
        journey_id,
        step_id,
        null as prev_step_id,
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
        journey_id,
        step_id,
        null as prev_step_id,
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
