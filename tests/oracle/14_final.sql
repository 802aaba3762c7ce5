-- purpose: which journeys nothing can change any more, and how long work on each took
-- grain:   one row per journey
-- key:     journey_id
-- sources: journey, stepped, promised, handoff_asked, sla_result, settings
create or replace table final as
with
promise_ends as (
    select
        journey_id,
        max(last_change_t) as last_change_t
    from promised
    group by journey_id
),

handoff_ends as (
    select
        journey_id,
        max(due_t) as due_t
    from handoff_asked
    group by journey_id
),

sla_ends as (
    select
        journey_id,
        max(due_t) as due_t
    from sla_result
    group by journey_id
)

select
    j.journey_id,
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
left join promise_ends as p on j.journey_id = p.journey_id
left join handoff_ends as h on j.journey_id = h.journey_id
left join sla_ends as a on j.journey_id = a.journey_id;

create or replace table busy as
with
spans as (
    select
        e.journey_id,
        greatest(min(e.t_start), any_value(j.started_t)) as a,
        max(e.t_end) as b
    from stepped as e
    inner join journey as j on e.journey_id = j.journey_id and j.has_start
    group by e.journey_id, e.instance
    having max(e.t_end) >= any_value(j.started_t)
),

reached as (
    select
        *,
        max(b) over (
            partition by journey_id order by a, b rows between unbounded preceding and 1 preceding
        ) as until
    from spans
)

select
    journey_id,
    sum(greatest(b - greatest(a, coalesce(until, a)), 0))::bigint // 1000000 as busy_s
from reached
group by journey_id;
