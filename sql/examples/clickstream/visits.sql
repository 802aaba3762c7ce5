-- purpose: how many visits there were and how long they lasted
-- grain: one row for the whole log
-- key: none
-- sources: v_sessions
-- Published for this log (retentioneering's user guide, eventstream): 6,454 visits, mean 51.6 s,
-- median 30.3 s, longest 1,423.9 s. A silence of exactly 30 minutes keeps the visit.
select
    count(*) as n_visits,
    round(avg(epoch(ended_at) - epoch(started_at)), 1) as mean_s,
    round(median(epoch(ended_at) - epoch(started_at)), 1) as median_s,
    round(max(epoch(ended_at) - epoch(started_at)), 1) as longest_s
from v_sessions
