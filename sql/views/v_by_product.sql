-- purpose: the journeys of each product: friction, health, experience, coverage
-- grain: product
-- key: product_id
-- sources: v_rollups
create or replace view v_by_product as
with rollups as (
    select
        level_value as product_id,
        * exclude (level, level_value)
    from v_rollups
    where level = 'product'
)

select * from rollups;

comment on column v_by_product.product_id is 'First product of the journey; null: none logged.';
