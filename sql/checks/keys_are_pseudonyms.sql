-- purpose: a customer key is 32 hex digits, and its first three are its bucket
-- severity: critical
-- table: events
-- sources: events
with customers as (
    select
        customer_key,
        count(*) as n_events,
        min(bucket) as first_bucket,
        max(bucket) as last_bucket
    from events
    group by customer_key
),

wrong as (
    select * from customers
    where
        not regexp_full_match(customer_key, '[0-9a-f]{32}')
        or first_bucket != last_bucket
        or first_bucket != try_cast('0x' || customer_key[1:3] as int)
)

select * from wrong
