-- purpose: how far the source of each answer is complete: what nobody has answered or done by then
-- grain: X-record whose source says how far it is complete
-- key: x_id
-- sources: v_experience, v_publication
create or replace view v_x_complete as
with records as (
    select x_id from v_experience
),

sources as (
    select
        lateness,
        unnest(map_keys(x_frontiers)) as source,
        unnest(map_values(x_frontiers)) as frontier_at
    from v_publication
),

-- Names and ids may hold slashes: of several names that fit, the one that promises least.
settled as (
    select
        records.x_id,
        min(sources.frontier_at - sources.lateness) as settled_until_at
    from records
    inner join sources on starts_with(records.x_id, sources.source || '/')
    group by records.x_id
)

select * from settled;

comment on column v_x_complete.settled_until_at is
'A window that ended before this has passed: its source is complete, the lateness left off [UTC].';
