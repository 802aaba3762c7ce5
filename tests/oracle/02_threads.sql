-- purpose: the thread of every event: its case; a case within reach (rules 3 and 4); else the
--          customer's case-less thread of its type, or `other`; and the event's own type in it
-- grain:   one row per event
-- key:     place
-- sources: ev, cases
create or replace table threaded as
with
-- events of cases: how far each reaches, and whether its case ends with it
cased as (
    select
        e.*,
        c.gap,
        c.reopen_window,
        coalesce(list_contains(c.end_activities, e.activity), false)
        or coalesce(list_contains(c.end_outcomes, e.outcome), false) as ends_case
    from ev as e
    inner join types as c on c.name = coalesce(e.etype, 'other')
    where e.kase is not null
),

seekers as (
    select * from ev
    where kase is null and customer in (select c.customer from cased as c)
),

-- whether the last end of a case lies too far back for who seeks one
ended as (
    select
        s.place,
        x.kase,
        arg_max(s.t - x.t > x.reopen_window, x.place) as is_long_ended
    from seekers as s
    inner join cased as x
        on s.customer = x.customer and s.t >= x.t
    where x.ends_case
    group by s.place, x.kase
),

candidates as (
    select
        s.place,
        c.kase,
        -- what happened at the same instant is not later
        c.t <= s.t as is_earlier,
        abs(s.t - c.t) as distance,
        if(c.t <= s.t, -c.place, c.place) as turn,
        coalesce(s.correlationid = c.correlationid, false) as is_correlated,
        s.family = c.family and abs(s.t - c.t) <= 1800000000 as is_near_in_family,
        abs(s.t - c.t) <= case when c.ends_case then c.reopen_window else c.gap end as is_in_reach,
        coalesce(l.is_long_ended, false) as is_long_ended
    from seekers as s
    inner join cased as c
        on
            s.customer = c.customer
            and (s.etype is null or s.etype = c.etype)
            and (s.t >= c.t or not s.is_company_driven)
    left join ended as l on s.place = l.place and c.kase = l.kase
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
        ev.customer,
        ev.t,
        ev.type_hint,
        coalesce(ev.kase, ranked.kase) as kase,
        case
            when coalesce(ev.kase, ranked.kase) is null then coalesce(ev.etype, 'other')
        end as thread_type
    from ev
    left join ranked on ev.place = ranked.place and ranked.rank = 1
),

case_types as (
    select
        n.kase,
        h.journey_type,
        h.begin_t,
        h.end_t
    from case_held as h
    inner join case_number as n on h.customer_key = n.customer_key and h.case_id = n.case_id
),

-- a type that the table of cases gives the case of the thread at the event's time goes first
typed as (
    select
        a.*,
        coalesce(c.journey_type, a.type_hint) as own_type
    from attached as a
    left join case_types as c on a.kase = c.kase and a.t >= c.begin_t and a.t < c.end_t
),

-- what happens at one instant in one thread lends its type to who has none
lent as (
    select
        customer,
        kase,
        thread_type,
        t,
        arg_min(own_type, place) as own_type
    from typed
    where
        own_type is not null
        and customer in (
            select y.customer from typed as y
            where y.own_type is null
        )
    group by all
),

lacking as (
    select
        y.place,
        l.own_type
    from typed as y
    inner join lent as l
        on
            y.customer = l.customer and y.t = l.t
            and y.kase is not distinct from l.kase
            and y.thread_type is not distinct from l.thread_type
    where y.own_type is null
)

select
    y.place,
    y.customer,
    y.kase,
    y.thread_type,
    coalesce(y.own_type, l.own_type) as ttype
from typed as y
left join lacking as l on y.place = l.place;
