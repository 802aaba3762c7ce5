-- Purpose: what people answered, and who was asked and stayed silent. One event in eleven is asked
-- about, in one of eleven forms that name it in their own way: the event, its visit, its case, its
-- touchpoint, its kind of journey, or nothing; some late, some before it, some about strangers.
-- Grain: one record. Variables: seed. Source: `dressed`, a part of the log.
create or replace temp macro drawn(id, what) as
hash(id, what, getvariable('seed')) % 1000000 / 1000000;

create or replace temp view answers as
with forms as (
    select forms.* from (
        values
        (0, 'nps', 'touchpoint', 0, 10, 'event'),
        (1, 'csat', 'touchpoint', 1, 5, 'event'),
        (2, 'ces', 'touchpoint', 1, 7, 'visit'),
        (3, 'effort', 'touchpoint', 1, 5, 'visit'),
        (4, 'nps', 'journey', 0, 10, 'case'),
        (5, 'star', 'touchpoint', 1, 5, 'place'),
        (6, 'review', 'touchpoint', 1, 5, 'place'),
        (7, 'nps', 'journey', 0, 10, 'kind'),
        (8, 'empathy', 'relationship', 0, 1, 'none'),
        (9, 'complaint', 'journey', null, null, 'none'),
        (10, 'enps', 'touchpoint', 0, 10, 'event')
    ) as forms (form, instrument, level, least, most, names)
),

picked as (
    select
        *,
        hash(id, 'form', getvariable('seed')) % 11 as form,
        drawn(id, 'answers') < 0.55 as is_answered,
        -- most soon, some after days, a few beyond every window
        time + to_microseconds(cast(case
            when drawn(id, 'lag') < 0.02 then -3600000000 * drawn(id, 'asked after')
            when drawn(id, 'lag') < 0.80 then 7200000000 * drawn(id, 'asked after')
            when drawn(id, 'lag') < 0.95 then 6 * 86400000000 * drawn(id, 'asked after')
            else 40 * 86400000000 * drawn(id, 'asked after')
        end as bigint)) as asked_at
    from dressed
    where drawn(id, 'is asked') < 1 / 11 and direction != 'internal'
),

told as (
    select
        p.*,
        f.* exclude (form),
        p.is_answered or f.instrument = 'complaint' as says,
        p.asked_at + to_microseconds(cast(
            case
                when drawn(p.id, 'is slow') < 0.9 then 86400000000 else 25 * 86400000000
            end * drawn(p.id, 'answered after') as bigint
        )) as answered_at
    from picked as p
    inner join forms as f on p.form = f.form
)

select
    concat('q', id) as answer_no,
    case when says then answered_at else asked_at end as time, -- noqa: AL09
    case when drawn(id, 'is strange') < 0.01 then concat('N', id) else identity end as customer_no,
    case form when 10 then 'employee' else 'customer' end as who,
    instrument,
    level,
    case when form in (0, 2, 5) then touchpoint end as place,
    case names when 'case' then case_no end as case_no,
    case
        when form in (0, 10) then concat('events/', id)
        when form = 1 then cast(id as varchar)
        when form = 3 then visit
        when form = 6 then touchpoint
    end as target,
    case form when 2 then visit end as visit,
    case names when 'kind' then journey_type end as flow,
    case
        when says and least is not null and drawn(id, 'is outside') < 0.01 then most + 1
        when says and least is not null
            then round(least + (most - least) * sqrt(drawn(id, 'points')))
    end as points,
    case when drawn(id, 'says its scale') < 0.5 then least end as lowest,
    case when drawn(id, 'says its scale') < 0.5 then most end as highest,
    case when drawn(id, 'says its side') < 0.1 then instrument != 'effort' end as is_up,
    case when drawn(id, 'says who began') < 0.05 then instrument != 'review' end as was_asked,
    case
        when names != 'none' and form != 6 and drawn(id, 'is logged') < 0.7 then asked_at
    end as invited_at,
    case when says and drawn(id, 'is timed') < 0.9 then answered_at end as responded_at,
    case
        when says and drawn(id, 'acts') < 0.3
            then
                answered_at
                + to_microseconds(cast(12 * 86400000000 * drawn(id, 'acted after') as bigint))
    end as acted_at
from told
where case when says then answered_at else asked_at end < timestamptz '2026-01-01 00:00:00+00'
order by time, answer_no -- noqa: RF02
