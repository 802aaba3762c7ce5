-- purpose: the journeys of each touchpoint: friction, health, experience, coverage
-- grain: touchpoint
-- key: touchpoint
-- sources: v_rollups
create or replace view v_by_touchpoint as
with rollups as (
    select
        level_value as touchpoint,
        * exclude (level, level_value)
    from v_rollups
    where level = 'touchpoint'
)

select * from rollups;

comment on column v_by_touchpoint.touchpoint is 'Place of contact; null: none logged.';
