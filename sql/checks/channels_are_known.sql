-- purpose: at most one event in ten came by a channel that the contract does not know
-- severity: warning
-- table: events
-- scope: table
-- sources: events
with events as (
    select channel from events
),

shares as (
    select
        count(*) as n_events,
        count(*) filter (channel = 'other') as n_other
    from events
    having count(*) filter (channel = 'other') > 0.1 * count(*)
)

select * from shares
