-- purpose: what the configuration says of each journey type, as far as views read it
-- grain: journey type; other stands for all that have no row
-- key: journey_type
-- sources: publications
create or replace view v_type_rules as
with newest as (
    select
        windows,
        thresholds
    from publications
    order by publication desc
    limit 1
),

windows as (
    select
        unnest(map_keys(windows)) as name,
        unnest(map_values(windows)) as us
    from newest
),

thresholds as (
    select
        unnest(map_keys(thresholds)) as name,
        unnest(map_values(thresholds)) as points
    from newest
),

-- A type's name may hold dots itself: only the first one parts it from the rule.
rules as (
    select
        split_part(name, '.', 1) as rule,
        substr(name, instr(name, '.') + 1) as journey_type,
        us / 1e6 as amount
    from windows
    where instr(name, '.') > 0
    union all
    select
        split_part(name, '.', 1) as rule,
        substr(name, instr(name, '.') + 1) as journey_type,
        points as amount
    from thresholds
    where starts_with(name, 'is_problem.')
    -- where nothing is served, as by an earlier version
    union all
    select
        unnest(['settling', 'cap', 'is_problem']) as rule,
        'other' as journey_type,
        unnest([2592000, 31536000, 0]) as amount
    from newest
    where not coalesce(list_contains(map_keys(windows), 'cap.other'), false)
),

types as (
    select
        journey_type,
        max(amount) filter (rule = 'horizon') as horizon_s,
        max(amount) filter (rule = 'settling') as settling_s,
        max(amount) filter (rule = 'cap') as cap_s,
        coalesce(max(amount) filter (rule = 'is_problem') > 0, false) as is_problem
    from rules
    group by journey_type
)

select * from types;

comment on column v_type_rules.journey_type is 'Journey type; other: all without a row.';
comment on column v_type_rules.horizon_s is
'Age at which a journey is judged, set by the user; null: as measured [s].';
comment on column v_type_rules.settling_s is
'After its last event, or its end, a journey may stay open so long: the greater of gap and
reopen_window [s].';
comment on column v_type_rules.cap_s is 'Longest life of a journey [s].';
comment on column v_type_rules.is_problem is 'Such a journey is a problem of the customer.';
