-- Purpose: who is a customer, and since when. Grain: one customer.
select
    customer_no as id,
    cast(customer_since as timestamptz) as time,
    customer_no as identity,
    'customer' as identitytype
from source
