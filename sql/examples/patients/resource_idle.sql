-- purpose: how long each resource did nothing between its own activities, over all cases
-- grain: one row per resource
-- key: owner
-- sources: v_steps
-- Idle is the time from the latest end of all earlier activities of the resource to the start of
-- the next one, 0 where they overlap (a resource may work on two cases at once; the end of the
-- activity that merely started last would count such time as idle).
-- Published for this log (bupaverse, performance analysis): r7 464.4199 days ... r2 214.7436 days.
with
work as (
    select
        owner,
        started_at,
        ended_at,
        max(ended_at) over (
            partition by owner
            order by started_at, ended_at, step_id
            rows between unbounded preceding and 1 preceding
        ) as busy_until
    from v_steps
)

select
    owner,
    count(*) as n_activities,
    round(sum(greatest(epoch(started_at) - epoch(busy_until), 0)) / 86400, 4) as idle_days
from work
group by owner
order by idle_days desc
