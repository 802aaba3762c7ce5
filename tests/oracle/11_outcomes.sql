-- purpose: the outcome of a journey, and what came back after an end
-- grain:   one row per journey (`outcome`); one row per end that was re-opened (`reopening`)
-- key:     journey_id (`outcome`); place of the re-opening event (`reopening`)
-- sources: stepped, journey, types, settings
create or replace table outcome as
with
mapped as (
    select
        e.journey_id,
        e.place,
        e.t,
        e.outcome,
        e.direction,
        e.is_end,
        e.is_weak_end,
        coalesce(m.outcome_map[e.outcome], if(e.is_weak_end, 0, null)) as value
    from stepped as e
    inner join journey as j on e.journey_id = j.journey_id
    inner join types as m on j.journey_type = m.name
),

last_end as (
    select
        journey_id,
        max(place) filter (where is_end) as place
    from mapped
    group by journey_id
),

later as (
    select
        m.journey_id,
        max(m.place) as place,
        arg_max(m.t, m.place) as t,
        arg_max(m.is_weak_end, m.place) as is_weak_end,
        arg_max(m.outcome, m.place) as outcome,
        arg_max(m.value, m.place) as value
    from mapped as m
    inner join last_end as l on m.journey_id = l.journey_id
    where
        m.value is not null
        and (l.place is null or (m.place > l.place and m.direction <> 'outbound'))
    group by m.journey_id
),

-- how long anything followed that the company does not drive
followed as (
    select
        journey_id,
        max(t) filter (where not is_company_driven) as until_t
    from stepped
    group by journey_id
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
    inner join last_end on j.journey_id = last_end.journey_id
    inner join followed as u on j.journey_id = u.journey_id
    left join mapped as e on last_end.place = e.place
    left join later on j.journey_id = later.journey_id
),

judged as (
    select
        *,
        decided_place is not null and (is_ended or is_last) as is_recorded,
        is_ended or (is_weakly_ended and is_last and worth > 0) as is_held
    from decided
)

select
    journey_id,
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
after_end as (
    select
        place,
        max(place) filter (is_end) over (
            partition by journey_id order by place
            rows between unbounded preceding and 1 preceding
        ) as end_at
    from stepped
),

ended as materialized (
    select
        a.place,
        a.end_at,
        x.t as end_t,
        x.session_id as end_session,
        coalesce(x.outcome = 'sold', false) as is_after_sale
    from after_end as a
    inner join stepped as x on a.end_at = x.place
),

-- who may come back: in another session, in time, and not with an end
back as (
    select
        e.*,
        d.end_at,
        d.is_after_sale,
        coalesce(e.lifecycle = 'resume', false) and not e.is_caseless as is_resumed
    from ended as d
    inner join stepped as e on d.place = e.place
    inner join types as c on c.name = coalesce(e.jtype, 'other')
    where
        (e.direction = 'inbound' or e.lifecycle = 'resume')
        and not e.is_end and e.session_id <> d.end_session
        and e.t - d.end_t > (select s.session_gap from settings as s)
        and e.t - d.end_t <= c.reopen_window
),

compared as (
    select
        b.place,
        -- no intent is known before the end, or this one
        coalesce(bool_or(b.intent = i.intent), true) as is_same_intent,
        -- after a sale only what is known to be the same agrees
        coalesce(
            bool_or(b.intent = i.intent or is_shared(b.need_objects, i.need_objects)), false
        ) as is_known_same,
        coalesce(is_other(
            any_value(b.need_objects), flatten(list(i.need_objects)), any_value(b.need_product),
            coalesce(list(i.need_product) filter (i.need_product is not null), [])
        ), false) as is_other_need
    from back as b
    inner join stepped as i on b.journey_id = i.journey_id and b.end_at >= i.place
    group by b.place
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
    qualify row_number() over (partition by b.journey_id, b.end_at order by b.place) = 1
),

-- the last outcome of a journey, where it falls after the end
settled as (
    select
        l.journey_id,
        max(l.place) as place
    from stepped as l
    inner join journey as j on l.journey_id = j.journey_id
    inner join types as c on j.journey_type = c.name
    where l.direction <> 'outbound' and coalesce(map_contains(c.outcome_map, l.outcome), false)
    group by l.journey_id
)

select
    f.*,
    if(f.is_resumed or coalesce(l.place > f.end_at, false), 1.0, 0.5) as confidence
from first_back as f
left join settled as l on f.journey_id = l.journey_id;
