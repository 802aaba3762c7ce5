-- Purpose: the register of customers, who may have had no contact at all. Grain: one customer.
-- Source: `people`, their numbers. All were customers before the year began.
select
    'C' || number as customer_no,
    strftime(
        timestamp '2024-12-31 12:00:00' - to_days((number % 1000)::integer), '%Y-%m-%d %H:%M:%S'
    ) as customer_since
from people
order by number
