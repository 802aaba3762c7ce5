-- purpose: a customer key is 32 hex digits, and its first three are its bucket
-- severity: critical
-- table: events
-- sources: events
with events as (
    select
        source,
        id,
        customer_key,
        bucket
    from events
),

wrong as (
    select * from events
    where
        not regexp_full_match(customer_key, '[0-9a-f]{32}')
        or bucket != ('0x' || customer_key[1:3])::int
)

select * from wrong
