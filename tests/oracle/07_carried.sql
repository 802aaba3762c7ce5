-- purpose: what each journey carries, and which kinds of friction and metrics can be measured in it
-- grain:   one row per journey and kind or metric
-- key:     journey_id, grain, name
-- sources: stepped, step, needs, declared_columns, settings
create or replace table measurable as
with
inputs as (
    select
        journey_id,
        unnest(columns_filled) as field
    from stepped
    union
    select
        e.journey_id,
        d.field
    from stepped as e
    inner join declared_columns as d on e.source = d.source
    union
    select
        journey_id,
        'owner' as field
    from stepped
    where owner_eff is not null
    union
    select
        journey_id,
        'team' as field
    from stepped
    where team_eff is not null
    union
    select
        journey_id,
        'silo' as field
    from step
    where silo is not null
    union
    select
        journey_id,
        'stage' as field
    from step
    where stage is not null
    union
    select
        e.journey_id,
        'question' as field
    from stepped as e
    inner join settings as s on list_contains(s.question_activities, e.activity)
    union
    select
        journey_id,
        'end' as field
    from stepped
    where is_end
    union
    select
        journey_id,
        'case' as field
    from stepped
    where not is_caseless
),

sales as (
    select
        journey_id,
        bool_and(coalesce(outcome = 'sold', false)) as is_all
    from stepped
    where is_end
    group by journey_id
),

had as (
    select
        journey_id,
        list(distinct field) as fields
    from (
        select
            journey_id,
            field
        from inputs
        union
        -- an outcome may be an end
        select
            journey_id,
            'end' as field
        from inputs
        where field = 'outcome'
        union
        -- unless every end was a sale, after which an unknown need is not known to come back
        select
            i.journey_id,
            'unsold_end' as field
        from inputs as i
        left join sales as s on i.journey_id = s.journey_id
        where i.field in ('outcome', 'end') and not coalesce(s.is_all, false)
    ) as every
    -- a stage that only events inside a step have is no step's
    where
        field <> 'stage'
        or exists (
            select 1 from step as s
            where s.journey_id = every.journey_id and s.stage is not null
        )
    group by journey_id
)

select
    h.journey_id,
    n.grain,
    n.name,
    bool_or(n.is_possible and list_has_all(h.fields, n.fields)) as is_measurable
from had as h
cross join needs as n
group by h.journey_id, n.grain, n.name;

create or replace table measured_metric as
select
    journey_id,
    grain,
    map(list(name order by name), list(is_measurable order by name)) as has
from measurable
group by journey_id, grain;
