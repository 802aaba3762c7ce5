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
        (
            -- the last end of that case at or before the seeker
            select arg_max(s.t - x.t > x.reopen_window, x.place)
            from ev as x
            where
                x.customer_key = c.customer_key and x.case_id = c.case_id
                and x.ends_case and x.t <= s.t
        ) as is_long_ended
    from seekers as s
    inner join ev as c
        on
            s.customer_key = c.customer_key
            and c.case_id is not null
            and (s.etype is null or s.etype = c.etype)
            and (s.t >= c.t or not s.is_company_driven)
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
    where is_in_reach and not (is_earlier and coalesce(is_long_ended, false))
),

attached as (
    select
        ev.*,
        coalesce(ev.case_id, ranked.case_id) as thread_case,
        case
            when coalesce(ev.case_id, ranked.case_id) is null then coalesce(ev.etype, 'other')
        end as thread_type
    from ev
    left join ranked on ev.place = ranked.place and ranked.rank = 1
),

-- the type that the table of cases gives the case of the thread at the event's time
recorded as (
    select
        a.place,
        c.journey_type
    from attached as a
    inner join cases as c
        on
            a.customer_key = c.customer_key
            and a.thread_case = c.case_id
            and a.time >= c.valid_from
            and coalesce(a.time < c.valid_to, true)
    qualify row_number() over (
        partition by a.place order by c.valid_from desc, c.json asc
    ) = 1
),

typed as (
    select
        a.*,
        coalesce(r.journey_type, a.type_hint) as own_type
    from attached as a
    left join recorded as r on a.place = r.place
)

select
    *,
    coalesce(own_type, arg_min(own_type, place) over (
        partition by customer_key, thread_case, thread_type, t
    )) as ttype
from typed;
