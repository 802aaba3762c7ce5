-- purpose: the outcome of a journey, and what came back after an end
-- grain:   one row per journey (`outcome`); one row per end that was re-opened (`reopening`)
-- key:     j (`outcome`); place of the re-opening event (`reopening`)
-- sources: stepped, journey, types, settings
create or replace table outcome as
with
mapped as (
    select
        e.j,
        e.place,
        e.t,
        e.outcome,
        e.direction,
        e.is_end,
        e.is_weak_end,
        coalesce(m.outcome_map[e.outcome], if(e.is_weak_end, 0, null)) as value
    from stepped as e
    inner join journey as j on e.j = j.j
    inner join types as m on j.journey_type = m.name
    where e.outcome is not null or e.is_end or e.is_weak_end
),

last_end as (
    select
        j,
        max(place) filter (where is_end) as place
    from mapped
    group by j
),

later as (
    select
        m.j,
        max(m.place) as place,
        arg_max(m.t, m.place) as t,
        arg_max(m.is_weak_end, m.place) as is_weak_end,
        arg_max(m.outcome, m.place) as outcome,
        arg_max(m.value, m.place) as value
    from mapped as m
    left join last_end as l on m.j = l.j
    where
        m.value is not null
        and (l.place is null or (m.place > l.place and m.direction <> 'outbound'))
    group by m.j
),

-- how long anything followed that the company does not drive
followed as (
    select
        j,
        max(t) filter (where not is_company_driven) as until_t
    from stepped
    group by j
),

decided as (
    select
        j.*,
        coalesce(c.expects_outcome, j.case_id is not null) as is_expected,
        later.value is null and e.place is not null as is_ended,
        coalesce(later.value is not null and later.is_weak_end, false) as is_weakly_ended,
        case
            when later.value is not null then later.outcome
            when e.place is not null then coalesce(e.outcome, 'resolved')
            when coalesce(c.expects_outcome, j.case_id is not null) then 'unresolved'
        end as logged,
        case
            when later.value is not null then later.value
            when e.place is not null then coalesce(e.value, 1)
            when coalesce(c.expects_outcome, j.case_id is not null) then 0
        end as worth,
        coalesce(later.t, e.t) as decided_t,
        coalesce(later.place, e.place) as decided_place,
        coalesce(u.until_t <= later.t, true) as is_last
    from journey as j
    inner join types as c on j.journey_type = c.name
    inner join followed as u on j.j = u.j
    left join last_end on j.j = last_end.j
    left join mapped as e on last_end.place = e.place
    left join later on j.j = later.j
),

judged as (
    select
        *,
        decided_place is not null and (is_ended or is_last) as is_recorded,
        is_ended or (is_weakly_ended and is_last and worth > 0) as is_held
    from decided
)

select
    j,
    if(is_closed, logged, null) as outcome,
    if(is_closed, worth, null) as outcome01,
    case
        when is_closed and logged is not null then if(is_recorded, 'recorded', 'assumed')
    end as outcome_basis,
    if(is_held, decided_t, null) as held_t,
    if(is_held, decided_place, null) as held_place
from judged;

create or replace table reopening as
with
ends as (
    select
        j,
        place,
        t,
        session,
        coalesce(outcome = 'sold', false) as is_sale
    from stepped
    where is_end
),

first_end as (
    select
        j,
        min(place) as place
    from ends
    group by j
),

later as (
    select
        e.j,
        e.step,
        e.session,
        e.place,
        e.t,
        e.jtype,
        e.intent,
        e.direction,
        coalesce(e.lifecycle = 'resume', false) and not e.is_caseless as is_resumed
    from stepped as e
    inner join first_end as f on e.j = f.j and e.place > f.place
    where (e.direction = 'inbound' or e.lifecycle = 'resume') and not e.is_end
),

-- the last end before
after_end as (
    select
        e.place,
        max(x.place) as end_at
    from later as e
    inner join ends as x on e.j = x.j and e.place > x.place
    group by e.place
),

-- who may come back: in another session, in time, and not with an end
back as (
    select
        e.*,
        a.end_at,
        x.is_sale as is_after_sale
    from later as e
    inner join after_end as a on e.place = a.place
    inner join ends as x on a.end_at = x.place
    inner join types as c on c.name = coalesce(e.jtype, 'other')
    where
        e.session <> x.session
        and e.t - x.t > (select s.session_gap from settings as s)
        and e.t - x.t <= c.reopen_window
),

intents as (
    select
        j,
        intent,
        min(place) as place
    from stepped
    where intent is not null and j in (select b.j from back as b)
    group by j, intent
),

first_intent as (
    select
        j,
        min(place) as place
    from intents
    group by j
),

-- what is known of needs before the end, for who names one
needed as (
    select
        b.place,
        bool_or(is_shared(n.need_objects, k.need_objects)) as is_shared_need,
        is_other(
            any_value(n.need_objects), flatten(list(k.need_objects)), any_value(n.need_product),
            coalesce(list(k.need_product) filter (k.need_product is not null), [])
        ) as is_other_need
    from back as b
    inner join numbered as n on b.place = n.place
    inner join cut as i on b.j = i.j and b.end_at >= i.place
    inner join numbered as k on i.place = k.place
    where n.need_product is not null or len(n.need_objects) > 0
    group by b.place
),

compared as (
    select
        b.place,
        -- no intent is known before the end, or this one
        b.intent is null or f.place is null or i.place is not null as is_same_intent,
        -- after a sale only what is known to be the same agrees
        i.place is not null or coalesce(n.is_shared_need, false) as is_known_same,
        coalesce(n.is_other_need, false) as is_other_need
    from back as b
    left join first_intent as f on b.j = f.j and b.end_at >= f.place
    left join intents as i on b.j = i.j and b.intent = i.intent and b.end_at >= i.place
    left join needed as n on b.place = n.place
),

first_back as (
    select b.*
    from back as b
    inner join compared as c on b.place = c.place
    where
        (
            b.is_resumed
            or (
                b.direction = 'inbound'
                and if(b.is_after_sale, c.is_known_same, c.is_same_intent)
            )
        )
        and not c.is_other_need
    qualify row_number() over (partition by b.j, b.end_at order by b.place) = 1
),

-- the last outcome of a journey, where it falls after the end
settled as (
    select
        l.j,
        max(l.place) as place
    from stepped as l
    inner join journey as j on l.j = j.j
    inner join types as c on j.journey_type = c.name
    where
        l.outcome is not null and l.direction <> 'outbound'
        and l.j in (select f.j from first_back as f)
        and coalesce(map_contains(c.outcome_map, l.outcome), false)
    group by l.j
)

select
    f.*,
    if(f.is_resumed or coalesce(l.place > f.end_at, false), 1.0, 0.5) as confidence
from first_back as f
left join settled as l on f.j = l.j;
