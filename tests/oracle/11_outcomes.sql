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
        m.outcome_map[e.outcome] as value
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
        arg_max(m.outcome, m.place) as outcome,
        arg_max(m.value, m.place) as value
    from mapped as m
    inner join last_end as l on m.journey_id = l.journey_id
    where
        m.value is not null
        and (l.place is null or (m.place > l.place and m.direction <> 'outbound'))
    group by m.journey_id
)

select
    j.journey_id,
    case
        when not j.is_closed then null
        when later.value is not null then later.outcome
        when e.place is not null then coalesce(e.outcome, 'resolved')
        when coalesce(c.expects_outcome, j.case_id is not null) then 'unresolved'
    end as outcome,
    case
        when not j.is_closed then null
        when later.value is not null then later.value
        when e.place is not null then coalesce(e.value, 1)
        when coalesce(c.expects_outcome, j.case_id is not null) then 0
    end as outcome01,
    case when later.value is null then e.t end as held_t,
    case when later.value is null then e.place end as held_place
from journey as j
inner join types as c on j.journey_type = c.name
inner join last_end on j.journey_id = last_end.journey_id
left join mapped as e on last_end.place = e.place
left join later on j.journey_id = later.journey_id;

create or replace table reopening as
with
back as (
    select
        e.*,
        x.place as end_at,
        x.t as end_time_t,
        x.session_id as end_session,
        x.step_id as end_step,
        w.intent as end_intent,
        z.intent as visit_intent
    from stepped as e
    inner join stepped as x
        on
            x.place = (
                select max(y.place) from stepped as y
                where e.journey_id = y.journey_id and y.is_end and e.place > y.place
            )
    inner join session as w on x.session_id = w.session_id
    inner join session as z on e.session_id = z.session_id
),

first_back as (
    select b.*
    from back as b
    inner join types as c on c.name = coalesce(b.jtype, 'other')
    cross join settings as s
    where
        (
            (b.direction = 'inbound' and coalesce(b.visit_intent = b.end_intent, true))
            or (coalesce(b.lifecycle = 'resume', false) and not b.is_caseless)
        )
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
