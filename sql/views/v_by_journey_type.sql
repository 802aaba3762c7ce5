-- purpose: the journeys of each journey type: friction, health, experience, coverage
-- grain: journey type
-- key: journey_type
-- sources: v_rollups
create or replace view v_by_journey_type as
with rollups as (
    select
        level_value as journey_type,
        * exclude (level, level_value)
    from v_rollups
    where level = 'journey_type'
)

select * from rollups;

comment on column v_by_journey_type.journey_type is 'Type of the journeys.';
