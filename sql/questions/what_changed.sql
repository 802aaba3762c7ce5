-- purpose: rows of every table, from each publication to the next, with what may explain it
-- question: What changed between publications, and why?
-- grain: publication, table_name (null: nothing to show, `note` says why)
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
        n_rows - n_rows_before as n_more,
        null::varchar as note
    from compared
    -- every publication has one run more
    where n_rows_before is not null and n_rows != n_rows_before and table_name != 'runs'
),

newest as (
    select
        max(publication) as publication,
        max_by(published_at, publication) as published_at,
        count(*) as n_publications
    from publications
),

-- An empty answer would leave open whether nothing changed or nothing could be compared.
notes as (
    select
        publication,
        published_at,
        case
            when n_publications = 1
                then
                    'only this publication is here, so there is nothing to compare: `rejse run`'
                    || ' after new data or with another configuration makes the next one, `rejse'
                    || ' diff --config OTHER.toml` tries another configuration first'
            else
                'no table has more or fewer rows than in the publication before: `rejse diff'
                || ' OLDER NEWER` shows journeys that changed within'
        end as note
    from newest
    where n_publications > 0 and not exists (select 1 from changes)
),

answered as (
    select * from changes
    union all by name
    select * from notes
)

select * from answered
order by publication desc, table_name asc
