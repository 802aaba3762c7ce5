-- purpose: the thread of every event: its case; a case within reach (rules 3 and 4); else the
--          customer's case-less thread of its type, or `other`; and the event's own type in it
-- grain:   one row per event
-- key:     place
-- sources: ev, cases
create or replace table threaded as
with
seekers as (
    select * from ev
    where case_id is null
),

-- whether the last end of a case lies too far back for who seeks one
ended as (
    select
        s.place,
        x.case_id,
        arg_max(s.t - x.t > x.reopen_window, x.place) as is_long_ended
    from seekers as s
    inner join ev as x
        on s.customer_key = x.customer_key and s.t >= x.t
    where x.case_id is not null and x.ends_case
    group by s.place, x.case_id
),

candidates as (
    select
        s.place,
        c.case_id,
        -- what happened at the same instant is not later
        c.t <= s.t as is_earlier,
        abs(s.t - c.t) as distance,
        if(c.t <= s.t, -c.place, c.place) as turn,
        coalesce(s.correlationid = c.correlationid, false) as is_correlated,
        s.family = c.family and abs(s.t - c.t) <= 1800000000 as is_near_in_family,
        abs(s.t - c.t) <= case when c.ends_case then c.reopen_window else c.gap end as is_in_reach,
        coalesce(l.is_long_ended, false) as is_long_ended
    from seekers as s
    inner join ev as c
        on
            s.customer_key = c.customer_key
            and c.case_id is not null
            and (s.etype is null or s.etype = c.etype)
            and (s.t >= c.t or not s.is_company_driven)
    left join ended as l on s.place = l.place and c.case_id = l.case_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by place
            order by
                case
                    when is_correlated then 1
                    when is_near_in_family then 2
                    else 3
                end,
                -- the family's nearest is by time and then the earlier one; the others' nearest
                -- earlier one comes before any later one
                case when is_near_in_family and not is_correlated then distance end nulls last,
                not is_earlier,
                distance,
                turn
        ) as rank
    from candidates
    where is_in_reach and not (is_earlier and is_long_ended)
),

attached as (
    select
        ev.place,
        ev.customer_key,
        ev.t,
        ev.type_hint,
        coalesce(ev.case_id, ranked.case_id) as thread_case,
        case
            when coalesce(ev.case_id, ranked.case_id) is null then coalesce(ev.etype, 'other')
        end as thread_type
    from ev
    left join ranked on ev.place = ranked.place and ranked.rank = 1
),

-- a type that the table of cases gives the case of the thread at the event's time goes first
typed as (
    select
        a.*,
        coalesce(c.journey_type, a.type_hint) as own_type
    from attached as a
    left join case_held as c
        on
            a.customer_key = c.customer_key and a.thread_case = c.case_id
            and a.t >= c.begin_t and a.t < c.end_t
),

-- what happens at one instant in one thread lends its type to who has none
lent as (
    select
        customer_key,
        thread_case,
        thread_type,
        t,
        arg_min(own_type, place) as own_type
    from typed
    where own_type is not null
    group by all
),

lacking as (
    select
        y.place,
        l.own_type
    from typed as y
    inner join lent as l
        on
            y.customer_key = l.customer_key and y.t = l.t
            and y.thread_case is not distinct from l.thread_case
            and y.thread_type is not distinct from l.thread_type
    where y.own_type is null
)

select
    y.place,
    y.customer_key,
    y.thread_case,
    y.thread_type,
    coalesce(y.own_type, l.own_type) as ttype
from typed as y
left join lacking as l on y.place = l.place;
