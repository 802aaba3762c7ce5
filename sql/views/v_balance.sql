-- purpose: where every input row went: kept, duplicate, late, rejected, erased or a heartbeat
-- grain: run and reason
-- key: run_id, reason
-- sources: runs
create or replace view v_balance as
with runs as (
    select * from runs
    where publication is not null
),

told as (
    select
        run_id,
        publication,
        unnest(['kept', 'duplicate', 'late', 'erased', 'heartbeat']) as reason,
        unnest([n_kept, n_duplicate, n_late, n_erased, n_heartbeat]) as n_rows,
        n_read,
        difference
    from runs
),

refused as (
    select
        run_id,
        publication,
        'rejected: ' || unnest(map_keys(reasons)) as reason,
        unnest(map_values(reasons)) as n_rows,
        n_read,
        difference
    from runs
),

balance as (
    select * from told
    union all
    select * from refused
),

shared as (
    select
        *,
        share_of(n_rows, n_read) as row_share
    from balance
)

select * from shared;

comment on column v_balance.reason is 'kept, duplicate, late, erased, heartbeat, or why rejected.';
comment on column v_balance.n_rows is 'Input rows.';
comment on column v_balance.row_share is 'Share of the rows read.';
