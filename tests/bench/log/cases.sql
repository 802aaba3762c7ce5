-- Purpose: what each case is; of one in ten the desk knows better than the events.
-- Grain: one case. Variables: seed. Source: `dressed`, a part of the log.
select
    case_no,
    any_value(identity) as customer_no,
    date_trunc('day', min(time)) as opened_at,
    case
        when hash(case_no, 'is renamed', getvariable('seed')) % 10 = 0 then 'claim'
        else any_value(journey_type)
    end as journey_type
from dressed
where case_no is not null
group by case_no
order by opened_at, case_no
