-- purpose: the journeys of each life-cycle stage: friction, health, experience, coverage
-- grain: life-cycle stage
-- key: lifecycle_stage
-- sources: v_rollups
create or replace view v_by_lifecycle_stage as
with rollups as (
    select
        level_value as lifecycle_stage,
        * exclude (level, level_value)
    from v_rollups
    where level = 'lifecycle_stage'
)

select * from rollups;

comment on column v_by_lifecycle_stage.lifecycle_stage is
'First life-cycle stage of the journey; null: none logged.';
