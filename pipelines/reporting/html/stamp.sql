-- purpose: which publication, run and configuration the page is drawn from, and its balance
-- grain:   one row, none before the first publication
-- sources: publications, runs
with

newest as (
    select *
    from publications
    order by publication desc
    limit 1
),

stamp as (
    select
        newest.publication,
        newest.run_id,
        newest.config_version,
        timezone('UTC', newest.published_at) as published_at,
        newest.audit,
        runs.n_read,
        runs.n_kept,
        runs.n_duplicate,
        runs.n_late,
        runs.n_rejected,
        runs.n_erased,
        runs.n_heartbeat
    from newest
    left join runs on newest.run_id = runs.run_id
)

select * from stamp
