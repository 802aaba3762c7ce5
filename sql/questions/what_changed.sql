-- purpose: rows of every table, from each publication to the next, with what may explain it
-- question: What changed between publications, and why?
-- grain: publication, table_name
-- key: publication, table_name
-- sources: publications
with told as (
    select
        publication,
        published_at,
        config_version,
        positions,
        unnest(map_keys(rows)) as table_name,
        unnest(map_values(rows)) as n_rows
    from publications
),

compared as (
    select
        publication,
        published_at,
        table_name,
        n_rows,
        lag(n_rows) over same_table as n_rows_before,
        config_version != lag(config_version) over same_table as is_new_configuration,
        positions != lag(positions) over same_table as is_new_data
    from told
    window same_table as (
        partition by table_name
        order by publication
    )
),

changes as (
    select
        *,
        n_rows - n_rows_before as n_more
    from compared
    where n_rows_before is not null and n_rows != n_rows_before
)

select * from changes
order by publication desc, table_name asc
