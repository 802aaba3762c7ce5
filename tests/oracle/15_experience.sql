-- purpose: X-records on one scale, and what each is about: five ways in order; a name given joins
--          whenever it was (of a case or conversation the latest event at or before, else the first
--          after), a guess by place or time within its window; or why none was found
-- grain:   one row per X-record
-- key:     source, id
-- sources: records, persons, x_declared, stepped, step, o_journeys, settings, x_frontiers
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
pairs as (
    select
        x.source,
        x.id,
        x.t as x_t,
        e.t,
        e.place,
        e.step_id,
        e.journey_id,
        coalesce(x.target = e.source || '/' || e.id, false) as is_ref,
        coalesce(x.target = e.id, false) as is_name,
        coalesce(x.correlationid = e.correlationid, false) as is_thread,
        coalesce(x.target = e.correlationid, false) as is_target_thread,
        coalesce(x.case_id = e.case_id, false) as is_case,
        coalesce(x.touchpoint = e.touchpoint, false) as is_place,
        coalesce(x.target = e.touchpoint, false) as is_target_place,
        not e.is_pushed
        and (x.journey_type is null or x.journey_type = j.journey_type) as is_own
    from x
    inner join stepped as e on x.customer_key = e.customer_key
    inner join o_journeys as j on e.journey_id = j.journey_id
),

found as (
    select
        *,
        1 as way,
        'event' as method,
        row_number() over (partition by source, id order by place) as rank
    from pairs
    where is_ref
    union all
    select
        *,
        2 as way,
        'event' as method,
        row_number() over (partition by source, id order by place) as rank
    from pairs
    where is_name
    union all
    select
        p.*,
        w.way,
        w.method,
        row_number() over (
            partition by p.source, p.id, w.way
            order by
                p.t > p.x_t,
                if(p.t > p.x_t, p.place, -p.place)
        ) as rank
    from pairs as p
    inner join (
        values (3, 'correlation'), (4, 'correlation'), (5, 'case'), (6, 'touchpoint'),
        (7, 'touchpoint'), (8, 'journey')
    ) as w (way, method)
        on
            (p.t <= p.x_t or w.way <= 5)
            and case w.way
                when 3 then p.is_thread
                when 4 then p.is_target_thread
                when 5 then p.is_case
                when 6 then p.is_place
                when 7 then p.is_target_place
                else p.is_own
            end
),

within_reach as (
    select
        f.*,
        row_number() over (partition by f.source, f.id order by f.way) as choice
    from found as f
    cross join settings as s
    where
        f.rank = 1
        and (
            f.way <= 5
            or f.x_t - f.t <= if(f.method = 'touchpoint', s.x_touchpoint, s.survey)
        )
),

guessable as (
    select distinct
        source,
        id
    from found
    where way > 5
)

select
    x.*,
    w.method as join_method,
    w.journey_id,
    w.x_t - w.t as gap,
    if(w.method = 'journey', null, w.step_id) as step_id,
    x.respondent_type = 'customer' as is_customer,
    case
        when w.method is not null then null
        when x.customer_key not in (select customer_key from stepped) then 'no_event'
        when
            x.correlationid is not null or x.case_id is not null
            or (
                x.target is not null
                and not exists (
                    select 1 from pairs as p
                    where p.source = x.source and p.id = x.id and p.is_target_place
                )
            )
            then 'unknown_name'
        when g.id is not null then 'window_passed'
        else 'nothing_before'
    end as unjoined
from x
left join guessable as g on x.source = g.source and x.id = g.id
left join within_reach as w on x.source = w.source and x.id = w.id and w.choice = 1;

create or replace table o_experience as
with
least_frontier as (
    select min(w) as w from frontiers
),

asked_steps as (
    select distinct step_id from x_joined
    where
        is_customer and level = 'touchpoint' and is_solicited and u is not null
        and step_id is not null
)

select
    x.customer_key,
    x.journey_id,
    x.step_id,
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
                x.level = 'touchpoint' and x.step_id is not null and x.sentiment01 is not null
                and x.sentiment_validated
                and x.step_id not in (from asked_steps),
                'step', null
            )
        when x.level = 'touchpoint' and x.step_id is not null then 'step'
        when x.level = 'journey' and x.journey_id is not null then 'whole'
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
        and coalesce(j.is_final, true)
        and (x.target is null or coalesce(x.join_method = 'event', false)),
        false
    ) as is_final
from x_joined as x
cross join settings as c
cross join least_frontier as w
left join step as s on x.step_id = s.step_id
left join o_journeys as j on x.journey_id = j.journey_id
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
