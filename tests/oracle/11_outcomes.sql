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
back as (
    select
        e.*,
        x.place as end_at,
        x.t as end_time_t,
        x.session_id as end_session,
        x.step_id as end_step,
        coalesce(x.outcome = 'sold', false) as is_after_sale,
        (
            -- no intent is known before the end, or this one
            select coalesce(bool_or(e.intent = i.intent), true) from stepped as i
            where i.journey_id = e.journey_id and i.place <= x.place and i.intent is not null
        ) as is_same_intent,
        -- after a sale only what is known to be the same agrees
        exists(
            select 1 from stepped as i
            where
                i.journey_id = e.journey_id and i.place <= x.place
                and (i.intent = e.intent or is_shared(e.need_objects, i.need_objects))
        ) as is_known_same,
        (
            select
                coalesce(is_other(
                    e.need_objects, flatten(list(i.need_objects)), e.need_product,
                    coalesce(list(i.need_product) filter (i.need_product is not null), [])
                ), false)
            from stepped as i
            where i.journey_id = e.journey_id and i.place <= x.place
        ) as is_other_need
    from stepped as e
    inner join stepped as x
        on
            x.place = (
                select max(y.place) from stepped as y
                where e.journey_id = y.journey_id and y.is_end and e.place > y.place
            )
),

first_back as (
    select b.*
    from back as b
    inner join types as c on c.name = coalesce(b.jtype, 'other')
    cross join settings as s
    where
        (
            (
                b.direction = 'inbound'
                and if(b.is_after_sale, b.is_known_same, coalesce(b.is_same_intent, true))
            )
            or (coalesce(b.lifecycle = 'resume', false) and not b.is_caseless)
        )
        and not b.is_other_need
        and not b.is_end and b.session_id <> b.end_session
        and b.t - b.end_time_t > s.session_gap and b.t - b.end_time_t <= c.reopen_window
    qualify row_number() over (partition by b.journey_id, b.end_at order by b.place) = 1
)

select
    f.*,
    case
        when coalesce(f.lifecycle = 'resume', false) and not f.is_caseless then 1.0
        when exists (
            select 1
            from stepped as l
            inner join journey as j on l.journey_id = j.journey_id
            inner join types as c on j.journey_type = c.name
            where
                l.journey_id = f.journey_id and l.place > f.end_at and l.direction <> 'outbound'
                and coalesce(map_contains(c.outcome_map, l.outcome), false)
        ) then 1.0
        else 0.5
    end as confidence
from first_back as f;
