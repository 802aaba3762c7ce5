-- purpose: local hour and day of a step's first event, and the weather at its site in that hour
-- grain:   one row per step
-- key:     step
-- sources: step, calendar, weather
create or replace table around as
with
zones as (
    select
        s.step,
        c.tz,
        row_number() over (
            partition by s.step
            order by c.valid_from desc nulls last, c.json asc
        ) as rank
    from step as s
    inner join calendar as c
        on
            c.owner is not distinct from hours_of(s.owner)
            and coalesce(make_timestamptz(s.first_t) >= c.valid_from, true)
            and coalesce(make_timestamptz(s.first_t) < c.valid_to, true)
),

skies as (
    select
        s.step,
        w.weather,
        w.temperature_c,
        row_number() over (
            partition by s.step
            order by w.valid_from desc, w.json asc
        ) as rank
    from step as s
    inner join weather as w
        on
            s.site_id = w.site_id
            and make_timestamptz(s.first_t) >= w.valid_from
            and make_timestamptz(s.first_t) < coalesce(w.valid_to, w.valid_from + interval 1 hour)
),

local as (
    select
        s.step,
        make_timestamptz(s.first_t) at time zone coalesce(s.tz, z.tz) as local_time,
        k.weather,
        k.temperature_c
    from step as s
    left join zones as z on s.step = z.step and z.rank = 1
    left join skies as k on s.step = k.step and k.rank = 1
)

select
    step,
    hour(local_time) as local_hour,
    isodow(local_time) as local_dow,
    weather,
    temperature_c
from local;
