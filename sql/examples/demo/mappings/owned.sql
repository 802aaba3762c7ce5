-- Purpose: what each customer owns, and since when. Grain: one product sold.
select
    sale_no as id,
    cast(owned_since as timestamptz) as time,
    customer_no as identity,
    'customer' as identitytype,
    product as product_id
from source
