-- purpose: which kinds of friction and metrics can be measured in a journey, by what it carries
-- grain:   one row per journey (`carried`); one row per set of what journeys carry and kind or
--          metric (`measurable`); one row per such set and grain (`measured_metric`)
-- key:     j; load, grain, name; load, grain
-- sources: stepped, step, needs, declared_columns, settings
create or replace table carried as
with
logged as (
    select
        e.j,
        min(e.source) as first_source,
        max(e.source) as last_source,
        [
            if(count(e.activity) > 0, 'activity', null),
            if(count(e.channel) > 0, 'channel', null),
            if(count(e.claims) > 0, 'claims', null),
            if(count(e.cost_amount) > 0, 'cost_amount', null),
            if(count(e.currency) > 0, 'currency', null),
            if(count(e.direction) > 0, 'direction', null),
            if(count(e.error_code) > 0, 'error_code', null),
            if(count(e.info) > 0, 'info', null),
            if(count(e.intent) > 0, 'intent', null),
            if(count(e.lifecycle) > 0, 'lifecycle', null),
            if(count(e.message_kind) > 0, 'message_kind', null),
            if(count(e.objects) > 0, 'objects', null),
            if(count(e.outcome) > 0, 'outcome', null),
            if(count(e.promise) > 0, 'promise', null),
            if(count(e.results_n) > 0, 'results_n', null),
            if(count(e.site_id) > 0, 'site_id', null),
            if(count(e.to_owner) > 0, 'to_owner', null),
            if(count(e.to_team) > 0, 'to_team', null),
            if(count(e.touchpoint) > 0, 'touchpoint', null),
            if(count(e.wait_s) > 0, 'wait_s', null),
            if(count(e.waiting_for) > 0, 'waiting_for', null),
            if(count(e.owner_eff) > 0, 'owner', null),
            if(count(e.team_eff) > 0, 'team', null),
            if(
                bool_or(e.activity in (select unnest(s.question_activities) from settings as s)),
                'question', null
            ),
            if(bool_or(e.is_end), 'end', null),
            if(bool_and(e.is_caseless), null, 'case'),
            if(bool_and(coalesce(e.outcome = 'sold', false)) filter (e.is_end), 'sold_only', null)
        ] as fields
    from stepped as e
    group by e.j
),

-- most journeys have one source
sourced as (
    select
        j,
        list(distinct source order by source) as sources
    from stepped
    where
        j in (
            select l.j from logged as l
            where l.first_source <> l.last_source
        )
    group by j
),

of_steps as (
    select
        j,
        [if(count(silo) > 0, 'silo', null), if(count(stage) > 0, 'stage', null)] as fields
    from step
    group by j
),

loaded as (
    select
        l.j,
        coalesce(r.sources, [l.first_source]) as sources,
        list_concat(l.fields, s.fields) as fields
    from logged as l
    inner join of_steps as s on l.j = s.j
    left join sourced as r on l.j = r.j
),

loads as (
    select
        sources,
        fields,
        row_number() over () as load
    from loaded
    group by sources, fields
)

select
    e.j,
    n.load,
    e.sources,
    e.fields
from loaded as e
inner join loads as n on e.sources = n.sources and e.fields = n.fields;

create or replace table measurable as
with
loads as (
    select distinct
        load,
        fields,
        sources
    from carried
),

declared as (
    select
        l.load,
        list(d.field) as fields
    from loads as l
    inner join declared_columns as d on list_contains(l.sources, d.source)
    group by l.load
),

had as (
    select
        l.load,
        list_concat(l.fields, d.fields) as every,
        -- an outcome may be an end
        if(list_contains(every, 'outcome'), list_append(every, 'end'), every) as ended,
        -- unless every end was a sale, after which an unknown need is not known to come back
        if(
            list_contains(ended, 'end') and not list_contains(every, 'sold_only'),
            list_append(ended, 'unsold_end'), ended
        ) as fields
    from loads as l
    left join declared as d on l.load = d.load
)

select
    h.load,
    n.grain,
    n.name,
    bool_or(n.is_possible and list_has_all(h.fields, n.fields)) as is_measurable
from had as h
cross join needs as n
group by h.load, n.grain, n.name;

create or replace table measured_metric as
select
    load,
    grain,
    map(list(name order by name), list(is_measurable order by name)) as has
from measurable
group by load, grain;
