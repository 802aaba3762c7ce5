-- purpose: every kept event is in exactly one journey of its customer
-- severity: critical
-- table: journeys
-- sources: events, v_journeys
with events as (
    select
        customer_key,
        count(*) as n_kept
    from events
    group by customer_key
),

journeys as (
    select
        customer_key,
        sum(n_events) as n_told
    from v_journeys
    group by customer_key
),

wrong as (
    select
        coalesce(events.customer_key, journeys.customer_key) as customer_key,
        coalesce(events.n_kept, 0) as n_kept,
        coalesce(journeys.n_told, 0) as n_told
    from events
    full join journeys on events.customer_key = journeys.customer_key
    where coalesce(events.n_kept, 0) != coalesce(journeys.n_told, 0)
)

select * from wrong
