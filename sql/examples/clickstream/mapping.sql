-- Clickstream of a web shop -> interactions, one row each.
-- The log has no ids: `id` is not mapped, so it becomes the hash of the row
-- (no two rows are equal).
-- The log names no time zone; its times are taken for UTC.
select
    user_id as identity,
    'customer' as identitytype,
    event as activity,
    event as touchpoint,
    'web' as channel,
    'inbound' as direction,
    'customer' as actor_type,
    cast(timestamp as timestamptz) as time,
    case when event = 'payment_done' then 'sold' end as outcome
from source
