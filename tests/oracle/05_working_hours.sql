-- purpose: working hours of the calendar's owners, as disjoint intervals, how much of a span an
--          owner works (`worked_us`), and when he has worked so much (`reached_t`); null where the
--          calendar has no hours for him
-- grain:   one row per owner of the calendar (null: everybody without rows) and interval
-- key:     owner, opens_t
-- sources: calendar, events
create or replace table work_clock as
with
days as (
    select
        unnest(generate_series(
            make_timestamp(min(epoch_us(time))) - interval 3 days,
            -- a deadline in working time is looked for over five years
            make_timestamp(max(epoch_us(time))) + interval 1830 days,
            interval 1 day
        ))::date as day
    from events
),

said as (
    select
        c.*,
        d.day
    from calendar as c
    inner join days as d
        on coalesce(c.date = strftime(d.day, '%Y-%m-%d'), c.weekday = isodow(d.day))
    where
        coalesce(c.valid_from <= d.day::timestamp at time zone c.tz, true)
        and coalesce(d.day::timestamp at time zone c.tz < c.valid_to, true)
),

shifts as (
    select
        owner,
        epoch_us((day + opens::interval) at time zone tz) as opens_t,
        epoch_us(
            (day + closes::interval + if(closes < opens, interval 1 day, interval 0 days))
            at time zone tz
        ) as closes_t
    from said
    qualify rank() over (
        partition by owner, day
        order by date is not null desc, valid_from desc nulls last
    ) = 1
),

reached as (
    select
        *,
        max(closes_t) over (
            partition by owner order by opens_t, closes_t
            rows between unbounded preceding and 1 preceding
        ) as until_t
    from shifts
    where opens_t is not null
),

apart as (
    select
        owner,
        greatest(opens_t, coalesce(until_t, opens_t)) as opens_t,
        closes_t
    from reached
    where closes_t > greatest(opens_t, coalesce(until_t, opens_t))
)

select
    *,
    (sum(closes_t - opens_t) over (partition by owner order by opens_t))::bigint as done
from apart;

-- what events themselves span: short, so that it can be asked for each of them
create or replace table work_hours as
select * from work_clock
where opens_t <= (select max(epoch_us(time)) from events);

create or replace macro hours_of(who) as (
    select max(owner) from calendar
    where owner = who
);

create or replace macro worked_us(who, a, b) as (
    select
        case
            when
                hours_of(who) is not null or (select bool_or(owner is null) from calendar)
                then coalesce(sum(greatest(least(closes_t, b) - greatest(opens_t, a), 0)), 0)
        end
    from work_hours
    where
        owner is not distinct from hours_of(who)
);

create or replace macro reached_t(who, a, span) as (
    select min(closes_t - done + span + worked_us(who, 0::bigint, a))::bigint
    from work_clock
    where
        owner is not distinct from hours_of(who)
        and done >= span + worked_us(who, 0::bigint, a)
        and closes_t - done + span + worked_us(who, 0::bigint, a) <= a + 1826 * 86400000000
);
