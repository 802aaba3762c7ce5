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

create or replace table piece as
with
contacts as (
    select
        *,
        lead(session_id) over (
            partition by journey_id, direction = 'inbound' order by seq
        ) as next_same_direction
    from session
    where is_contact
),

repeat_contact as (
    select
        b.journey_id,
        b.first_step as step_id,
        (
            select arg_max(e.step_id, e.pos) from stepped as e
            where e.session_id = a.session_id and e.place < b.first_place
        ) as prev_step_id,
        'repeat_contact' as kind,
        b.first_t as occurred_t,
        1.0 as x,
        1.0 as g,
        1.0 as confidence,
        'observed' as basis,
        a.session_id as detail,
        b.first_place as proof_place
    from contacts as b
    cross join settings as s
    inner join contacts as a
        on
            a.session_id = (
                select arg_max(c.session_id, c.first_place)
                from contacts as c
                where
                    c.customer_key = b.customer_key and c.direction = 'inbound'
                    and c.intent = b.intent and c.session_id <> b.session_id
                    and c.first_place < b.first_place
            )
            and b.first_t - a.first_t <= s.repeat_window
    where b.direction = 'inbound' and a.outcome not in ('informed', 'sold')
),

fallback_between as (
    select
        b.journey_id,
        b.first_step as step_id,
        (
            select arg_max(e.step_id, e.pos) from stepped as e
            where e.session_id = a.session_id and e.pos < b.first_pos
        ) as prev_step_id,
        'channel_fallback' as kind,
        b.first_t as occurred_t,
        1.0 as x,
        1.0 as g,
        if(a.outcome is null, 0.5, 1.0) as confidence,
        'observed' as basis,
        a.session_id as detail,
        b.first_place as proof_place
    from contacts as a
    inner join contacts as b on a.next_same_direction = b.session_id
    where
        a.direction = 'inbound' and not a.has_human
        and a.channel in ('web', 'app', 'chatbot', 'device')
        and b.has_human
        and coalesce(a.intent = b.intent, true)
        and coalesce(a.outcome not in ('resolved', 'sold', 'informed'), true)
),

chat as (
    select
        e.*,
        e.channel = 'chatbot' and e.actor_type <> 'human' as is_bot,
        e.actor_type = 'human' or e.channel = 'chat' as is_human
    from stepped as e
    inner join session as s on e.session_id = s.session_id and s.direction = 'inbound'
    where e.family = 'chat'
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
    from chat as h
    inner join chat as b on h.session_id = b.session_id and h.pos > b.pos
    where
        h.is_human and h.pos = (
            select min(y.pos) from chat as y
            where y.session_id = h.session_id and y.is_human
        )
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
),

switching as (
    -- contacts that the customer made, each beside the one before
    select
        *,
        lag(channel_family) over journey as family_before,
        lag(session_id) over journey as session_before,
        lag(intent) over journey as intent_before,
        lag(outcome) over journey as outcome_before
    from contacts
    where direction = 'inbound'
    window journey as (partition by journey_id order by seq)
),

channel_switch as (
    select
        b.journey_id,
        b.first_step as step_id,
        (
            select arg_max(e.step_id, e.pos) from stepped as e
            where e.session_id = b.session_before and e.pos < b.first_pos
        ) as prev_step_id,
        'channel_switch' as kind,
        b.first_t as occurred_t,
        1.0 as x,
        1.0 as g,
        if(b.outcome_before is null, 0.5, 1.0) as confidence,
        'observed' as basis,
        '' as detail
    from switching as b
    where
        b.channel_family <> b.family_before
        and (b.intent is null or b.intent_before is null or b.intent = b.intent_before)
        and (
            b.outcome_before is null
            or b.outcome_before not in ('resolved', 'sold', 'informed')
        )
)

select * from repeat_contact  -- noqa: AM07
union all by name
select * from fallback_between
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
select * from reopened
union all by name
select * from channel_switch;
