-- Purpose: events with the visit they belong to and, of every sixth customer, their case: such a
-- customer has no event without one, so that no event looks for a case near by.
-- Grain: one event. Variables: seed. Source: `events`, a part of the log; 64 ids a journey.
select
    *,
    case
        when direction != 'internal'
            then concat('V', id >> 6, '-', channel, '-', epoch_ms(time) // 86400000)
    end as visit,
    case
        when hash(identity, 'has cases', getvariable('seed')) % 6 = 0 then concat('K-', id >> 6)
    end as case_no
from events
order by time, id
