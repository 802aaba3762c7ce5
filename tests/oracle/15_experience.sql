-- purpose: X-records on one scale, and what each is about: five ways in order; a name given joins
--          whenever it was (of a case or conversation the latest event at or before, else the first
--          after), a guess by place or time within its window; or why none was found
-- grain:   one row per X-record
-- key:     source, id
-- sources: records, persons, person, x_declared, stepped, step, journey, final, settings,
--          x_frontiers
create or replace table x as
with
usual as (
    select usual.* from (
        values
        ('nps', 0, 10, true), ('enps', 0, 10, true), ('csat', 1, 5, true), ('ces', 1, 7, true),
        ('effort', 1, 5, false), ('star', 1, 5, true), ('review', 1, 5, true),
        ('emotion', 1, 5, true), ('empathy', 0, 1, true), ('sentiment', -1, 1, true)
    ) as usual (instrument, least, most, is_up)
),

bounded as (
    select
        r.* replace (coalesce(p.person, r.customer_key) as customer_key),
        r.action_time is not null
        or r.source in (
            select d.source from x_declared as d
            where d.field = 'action_time'
        )
            as is_action_logged,
        epoch_us(r.time) as t,
        row_number() over (order by r.time, r.source, r.sequence nulls first, r.id) as place,
        coalesce(r.scale_min, u.least) as lo,
        coalesce(r.scale_max, u.most) as hi,
        coalesce(r.higher_is_better, u.is_up, true) as is_up
    from records as r
    left join persons as p on r.customer_key = p.who and r.time = p.t
    left join usual as u on r.instrument = u.instrument
)

select
    *,
    coalesce(epoch_us(invited_time), t) as asked_t,
    case
        when lo < hi and raw_score between lo and hi
            then if(is_up, (raw_score - lo) / (hi - lo), 1 - (raw_score - lo) / (hi - lo))
    end as u,
    coalesce(
        solicited,
        instrument not in ('sentiment', 'review', 'complaint', 'other')
        or invited_time is not null
    ) as is_solicited,
    raw_score is not null or responded_time is not null or instrument = 'complaint'
    or coalesce(has_text, false) as is_answered,
    invited_time is not null or (is_solicited and not is_answered) as is_invited
from bounded;

create or replace table x_joined as
with
felt as (
    select
        x.place,
        p.customer,
        x.t,
        x.target,
        x.correlationid,
        x.case_id,
        x.touchpoint,
        x.journey_type
    from x
    inner join person as p on x.customer_key = p.customer_key
),

-- a name is looked up, whenever its event was
named as (
    select
        place,
        min(event_place) filter (where is_ref) as ref_place,
        min(event_place) filter (where not is_ref) as id_place
    from (
        select
            x.place,
            e.place as event_place,
            false as is_ref
        from ev as e
        inner join felt as x on e.customer = x.customer and e.id = x.target
        union all
        select
            x.place,
            e.place as event_place,
            true as is_ref
        from ev as e
        inner join felt as x on e.customer = x.customer and e.source || '/' || e.id = x.target
        where contains(x.target, '/')
    ) as every
    group by place
),

-- of the others the latest event at or before, else, of a conversation or a case, the first after
pairs as (
    select
        x.place,
        e.place as event_place,
        e.t <= x.t as is_before,
        coalesce(x.correlationid = e.correlationid, false) as is_thread,
        coalesce(x.target = e.correlationid, false) as is_target_thread,
        coalesce(x.case_id = e.case_id, false) as is_case,
        coalesce(x.touchpoint = e.touchpoint, false) as is_place,
        coalesce(x.target = e.touchpoint, false) as is_target_place,
        not e.is_pushed
        and (x.journey_type is null or x.journey_type = j.journey_type) as is_own
    from stepped as e
    inner join felt as x on e.customer = x.customer
    inner join journey as j on e.j = j.j
),

nearest as (
    select
        place,
        coalesce(
            max(event_place) filter (where is_thread and is_before),
            min(event_place) filter (where is_thread)
        ) as thread_place,
        coalesce(
            max(event_place) filter (where is_target_thread and is_before),
            min(event_place) filter (where is_target_thread)
        ) as target_thread_place,
        coalesce(
            max(event_place) filter (where is_case and is_before),
            min(event_place) filter (where is_case)
        ) as case_place,
        max(event_place) filter (where is_place and is_before) as touchpoint_place,
        max(event_place) filter (where is_target_place and is_before) as target_touchpoint_place,
        max(event_place) filter (where is_own and is_before) as own_place,
        bool_or(is_target_place) as has_target_place
    from pairs
    group by place
),

ways as (
    select
        n.place,
        unnest([  -- noqa: AL03
            { 'way': 1, 'method': 'event', 'event_place': m.ref_place },
            { 'way': 2, 'method': 'event', 'event_place': m.id_place },
            { 'way': 3, 'method': 'correlation', 'event_place': n.thread_place },
            { 'way': 4, 'method': 'correlation', 'event_place': n.target_thread_place },
            { 'way': 5, 'method': 'case', 'event_place': n.case_place },
            { 'way': 6, 'method': 'touchpoint', 'event_place': n.touchpoint_place },
            { 'way': 7, 'method': 'touchpoint', 'event_place': n.target_touchpoint_place },
            { 'way': 8, 'method': 'journey', 'event_place': n.own_place }
        ], recursive := true)
    from nearest as n
    left join named as m on n.place = m.place
),

within_reach as (
    select
        w.place,
        w.method,
        e.j,
        e.step,
        x.t - e.t as gap
    from ways as w
    inner join x on w.place = x.place
    inner join stepped as e on w.event_place = e.place
    cross join settings as s
    where
        w.way <= 5
        or x.t - e.t <= if(w.method = 'touchpoint', s.x_touchpoint, s.survey)
    qualify row_number() over (partition by w.place order by w.way) = 1
)

select
    x.*,
    w.method as join_method,
    w.j,
    w.gap,
    if(w.method = 'journey', null, w.step) as step,
    x.respondent_type = 'customer' as is_customer,
    case
        when w.method is not null then null
        when n.place is null then 'no_event'
        when
            x.correlationid is not null or x.case_id is not null
            or (x.target is not null and not n.has_target_place)
            then 'unknown_name'
        when
            n.touchpoint_place is not null or n.target_touchpoint_place is not null
            or n.own_place is not null
            then 'window_passed'
        else 'nothing_before'
    end as unjoined
from x
left join nearest as n on x.place = n.place
left join within_reach as w on x.place = w.place;

create or replace table o_experience as
with
least_frontier as (
    select min(w) as w from frontiers
),

asked_steps as (
    select distinct step from x_joined
    where
        is_customer and level = 'touchpoint' and is_solicited and u is not null
        and step is not null
)

select
    x.customer_key,
    j.journey_id,
    n.step_id,
    x.respondent_type,
    x.actor_id as respondent,
    x.instrument,
    x.level,
    x.time as occurred_at,
    s.owner,
    x.raw_score,
    x.lo as scale_min,
    x.hi as scale_max,
    x.confidence,
    x.language,
    x.sentiment01,
    x.sentiment_confidence,
    x.sentiment_model_id,
    x.is_solicited,
    x.is_answered,
    x.invited_time as invited_at,
    x.responded_time as responded_at,
    x.action_time as acted_at,
    x.is_action_logged,
    x.join_method,
    x.unjoined,
    x.u as score01,
    x.source || '/' || x.id as x_id,
    coalesce(x.journey_type, j.journey_type) as journey_type,
    coalesce(x.touchpoint, s.touchpoint) as touchpoint,
    coalesce(x.has_text, false) as has_text,
    case
        when not x.is_customer or not x.is_solicited then null
        when x.u is null
            then if(
                x.level = 'touchpoint' and x.step is not null and x.sentiment01 is not null
                and x.sentiment_validated
                and x.step not in (from asked_steps),
                'step', null
            )
        when x.level = 'touchpoint' and x.step is not null then 'step'
        when x.level = 'journey' and x.j is not null then 'whole'
    end as scored_as,
    cast(floor(x.gap / 1000000) as bigint) as join_gap_s,
    case
        when x.u is null then null
        when x.hi - x.lo = 4 then x.u > 1 - 1e-12
        when x.instrument in ('nps', 'enps') and x.hi = 10 and x.is_up
            then x.raw_score > 9 - 1e-12
        else x.u > 0.9 - 1e-12
    end as is_top_box,
    case
        when not (x.is_customer and (x.instrument = 'complaint' or coalesce(x.u <= 0.4, false)))
            then null
        when x.action_time is not null then epoch_us(x.action_time) > x.t + c.ignored
        when not x.is_action_logged then null
        when f.w - c.lateness > x.t + c.ignored then true
    end as is_ignored,
    x.is_invited,
    case
        when x.is_invited and f.w - c.lateness > x.asked_t + c.survey
            then
                x.is_answered
                and coalesce(epoch_us(x.responded_time) <= x.asked_t + c.survey, true)
    end as is_in_time,
    coalesce(
        w.w > x.t + c.identity_wait + c.lateness
        and coalesce(k.is_final, true)
        and (x.target is null or coalesce(x.join_method = 'event', false)),
        false
    ) as is_final
from x_joined as x
cross join settings as c
cross join least_frontier as w
left join step as s on x.step = s.step
left join step_name as n on x.step = n.step
left join journey as j on x.j = j.j
left join final as k on x.j = k.j
left join x_frontiers as f on x.source = f.source;

create or replace table o_texts as
select
    e.customer_key,
    e.x_id,
    e.journey_id,
    e.step_id,
    e.occurred_at,
    e.language,
    x.text_redacted,
    e.is_final
from o_experience as e
inner join x on e.x_id = x.source || '/' || x.id
where x.text_redacted is not null;
