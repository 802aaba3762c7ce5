-- purpose: which journeys nothing can change any more, and how long work on each took
-- grain:   one row per journey
-- key:     j
-- sources: journey, stepped, promised, handoff_asked, sla_result, settings
create or replace table final as
with
promise_ends as (
    select
        j,
        max(last_change_t) as last_change_t
    from promised
    group by j
),

handoff_ends as (
    select
        j,
        max(due_t) as due_t
    from handoff_asked
    group by j
),

sla_ends as (
    select
        j,
        max(due_t) as due_t
    from sla_result
    group by j
)

select
    j.j,
    coalesce(
        j.w > greatest(
            j.deadline,
            j.last_t + s.largest_gap,
            coalesce(p.last_change_t, 0),
            coalesce(h.due_t, 0),
            coalesce(a.due_t + s.give_up, 0)
        ) + s.identity_wait + s.lateness,
        false
    ) as is_final
from journey as j
cross join settings as s
left join promise_ends as p on j.j = p.j
left join handoff_ends as h on j.j = h.j
left join sla_ends as a on j.j = a.j;

create or replace table busy as
with
spans as (
    select
        e.j,
        greatest(e.t_start, j.started_t) as a,
        e.t_end as b
    from stepped as e
    inner join journey as j on e.j = j.j
    where e.place = e.instance and j.has_start and e.t_end >= j.started_t
),

reached as (
    select
        *,
        max(b) over (
            partition by j order by a, b rows between unbounded preceding and 1 preceding
        ) as until
    from spans
    where b > a
),

lasting as (
    select
        j,
        sum(greatest(b - greatest(a, coalesce(until, a)), 0))::bigint // 1000000 as busy_s
    from reached
    group by j
)

select
    s.j,
    coalesce(l.busy_s, 0) as busy_s
from (select distinct j from spans) as s
left join lasting as l on s.j = l.j;
