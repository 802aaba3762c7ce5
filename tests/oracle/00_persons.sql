-- purpose: whose each event and X-record is: identities follow their links, one link at a time,
--          until there is none; where the links go round, the least identity of the round
-- grain:   one row per identity and time at which an event or X-record bears it, where links may
--          lead on
-- key:     who, t
-- sources: events, records, links, settings
create or replace table bearers as
select distinct
    customer_key as who,
    identitytype as kind,
    time as t
from events
where customer_key in (select l.previous_key from links as l)
union
select distinct
    customer_key as who,
    identitytype as kind,
    time as t
from records
where customer_key in (select l.previous_key from links as l);

create or replace table persons as
with recursive
held as (
    select
        l.*,
        min(coalesce(l.valid_from, '-infinity'::timestamptz)) over (
            partition by l.previous_key
        ) as first_from
    from links as l
    where
        coalesce(l.valid_from < l.valid_to, true)
        and (l.previous_type <> 'customer' or l.identity_type = 'customer')
),

moments as (select distinct t from bearers),

following as (
    select
        m.t,
        h.previous_key,
        h.identity_key,
        h.identity_type,
        row_number() over (
            partition by m.t, h.previous_key
            order by
                h.valid_from desc nulls last, h.identity_type asc, h.precedence asc,
                h.identity_key asc
        ) as place
    from moments as m
    cross join settings as s
    inner join held as h
        on (
            coalesce(m.t >= h.valid_from, true) and coalesce(m.t < h.valid_to, true)
        ) or (
            m.t < h.first_from
            and h.valid_from = h.first_from
            and (
                h.previous_type = 'customer'
                or epoch_us(h.valid_from) <= epoch_us(m.t) + s.identity_wait
            )
        )
),

walk as (
    select
        who,
        t,
        [struct_pack(kind := kind, key := who)] as path
    from bearers
    union all
    select
        w.who,
        w.t,
        list_append(
            w.path, struct_pack(kind := f.identity_type, key := f.identity_key)
        ) as path
    from walk as w
    inner join following as f
        on w.t = f.t and w.path[-1].key = f.previous_key and f.place = 1
    where len(list_distinct(w.path)) = len(w.path)
),

longest as (
    select
        who,
        t,
        max_by(path, len(path)) as path
    from walk
    group by all
)

select
    who,
    t,
    case
        when len(list_distinct(path)) = len(path) then path[-1].key
        else list_min(path[list_position(path, path[-1]) + 1:]).key
    end as person
from longest;
