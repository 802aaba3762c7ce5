-- purpose: what rows of a table hold when: of several rows of one key that are valid at a time the
--          one that is valid from latest on, then the first by its JSON
-- grain:   one row per key and span in which one row holds
-- key:     key, begin_t
-- sources: any table with valid_from, valid_to, json; ask key = … and begin_t <= t and t < end_t
create or replace macro spans(name, column_of_key) as table (
    with
    valid as (
        select
            *,
            column_of_key as key,
            coalesce(epoch_us(valid_from), -9000000000000000000) as from_t,
            coalesce(epoch_us(valid_to), 9000000000000000000) as until_t
        from query_table(name)
    ),

    turns as (
        select
            key,
            from_t as begin_t
        from valid
        union
        select
            key,
            until_t as begin_t
        from valid
    ),

    pieces as (
        select
            *,
            lead(begin_t) over (partition by key order by begin_t) as end_t
        from turns
    )

    select
        v.* exclude (from_t, until_t),
        p.begin_t,
        p.end_t
    from pieces as p
    inner join valid as v
        on
            p.key is not distinct from v.key
            and p.begin_t >= v.from_t and p.begin_t < v.until_t
    qualify row_number() over (
        partition by p.key, p.begin_t order by v.valid_from desc nulls last, v.json asc
    ) = 1
);
