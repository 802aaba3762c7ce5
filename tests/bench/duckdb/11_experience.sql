-- Purpose: answers on one scale, and which event each is about: five ways, tried in order, or why
-- it is about none. A name holds however late the answer is (of a visit or case the latest event at
-- or before it, else the first after); guesses by touchpoint or journey have a window.
-- Grain: one record. Each way looks only at what the ways before it left.
create temp table said as
with usual as (
    select usual.* from (
        values
        ('nps', 0, 10, true), ('enps', 0, 10, true), ('csat', 1, 5, true), ('ces', 1, 7, true),
        ('effort', 1, 5, false), ('star', 1, 5, true), ('review', 1, 5, true),
        ('emotion', 1, 5, true), ('empathy', 0, 1, true), ('sentiment', -1, 1, true)
    ) as usual (instrument, least, most, is_up)
),

bounded as (
    select
        r.*,
        c.customer,
        c.customer_key,
        epoch_us(r.time) as us,
        cast(coalesce(r.lowest, u.least) as double) as lo,
        cast(coalesce(r.highest, u.most) as double) as hi,
        coalesce(r.is_up, u.is_up, true) as is_upward,
        max(epoch_us(r.time)) over () - 86400000000 as passed
    from raw_answers as r
    inner join customers as c on r.customer_no = c.identity
    left join usual as u on r.instrument = u.instrument
),

scaled as (
    select
        *,
        case
            when lo < hi and points between lo and hi
                then
                    case
                        when is_upward then (points - lo) / (hi - lo)
                        else 1 - (points - lo) / (hi - lo)
                    end
        end as u,
        coalesce(
            was_asked,
            instrument not in ('sentiment', 'review', 'complaint', 'other')
            or invited_at is not null
        ) as is_solicited,
        points is not null or responded_at is not null or instrument = 'complaint' as is_answered,
        who = 'customer' as is_customer,
        epoch_us(coalesce(invited_at, time)) + 14 * 86400000000 as answer_due
    from bounded
),

judged as (
    select
        *,
        invited_at is not null or (is_solicited and not is_answered) as is_invited,
        is_customer and (instrument = 'complaint' or coalesce(u <= 0.4, false)) as asks,
        case
            when hi - lo = 4 then u > 1 - 1e-12
            when instrument in ('nps', 'enps') and hi = 10 and is_upward and u is not null
                then points > 9 - 1e-12
            else u > 0.9 - 1e-12
        end as is_top_box
    from scaled
)

select
    * exclude (answer_due, asks, passed, was_asked),
    row_number() over (order by us, answer_no) as x,
    case
        when is_invited and answer_due < passed
            then is_answered and coalesce(epoch_us(responded_at) <= answer_due, true)
    end as is_in_time,
    case
        when not asks then null
        when acted_at is not null then epoch_us(acted_at) > us + 7 * 86400000000
        when us + 7 * 86400000000 < passed then true
    end as is_ignored
from judged;

create temp table about as
select
    s.x,
    'event' as method,
    t.pos,
    s.us - t.us as gap
from said as s
inner join told as t
    on
        s.customer = t.customer
        and case when starts_with(s.target, 'events/') then substr(s.target, 8) else s.target end
        = t.id;

-- The event of a name: the latest at or before the answer, else the first after it.
create macro named(pos, event_us, id, us) as
coalesce(
    arg_max(struct_pack(pos := pos, us := event_us), (event_us, id)) filter (where event_us <= us),
    arg_min(struct_pack(pos := pos, us := event_us), (event_us, id))
);

insert into about
with wanted as (
    select
        x,
        customer,
        us,
        unnest([visit, target]) as visit,
        unnest([3, 4]) as way
    from said
    where x not in (select a.x from about as a)
),

found as (
    select
        w.x,
        w.way,
        max(w.us) as us,
        named(t.pos, t.us, t.id, w.us) as event
    from wanted as w
    inner join events as e on w.customer = e.customer and w.visit = e.correlationid
    inner join told as t on e.rowid = t.event
    group by w.x, w.way
)

select
    f.x,
    'correlation' as method,
    arg_min(f.event.pos, f.way) as pos,
    arg_min(f.us - f.event.us, f.way) as gap
from found as f
group by f.x;

insert into about
with found as (
    select
        s.x,
        max(s.us) as us,
        named(t.pos, t.us, t.id, s.us) as event
    from said as s
    inner join cases as k on s.case_no = k.case_no
    inner join told as t on k.case_code = t.case_code and s.customer = t.customer
    where s.x not in (select a.x from about as a)
    group by s.x
)

select
    f.x,
    'case' as method,
    f.event.pos,
    f.us - f.event.us as gap
from found as f;

-- Guesses that their windows would forbid are kept, to say why the answer is about nothing.
create temp table passed_by as
select x from about
where false;

insert into about
with wanted as (
    select
        x,
        customer,
        us,
        unnest([try_cast(place as touchpoint), try_cast(target as touchpoint)]) as touchpoint,
        unnest([6, 7]) as way
    from said
    where x not in (select a.x from about as a)
),

found as (
    select
        w.x,
        w.way,
        max(w.us) as us,
        max(t.us) as last_us,
        arg_max(t.pos, (t.us, t.id)) as pos
    from wanted as w
    inner join told as t on w.customer = t.customer and w.touchpoint = t.touchpoint
    where t.us <= w.us
    group by w.x, w.way
)

select
    x,
    'touchpoint' as method,
    arg_min(pos, way) filter (where us - last_us <= 3 * 86400000000) as pos,
    arg_min(us - last_us, way) filter (where us - last_us <= 3 * 86400000000) as gap
from found
group by x;

insert into passed_by
select x from about
where pos is null;

delete from about
where pos is null;

insert into about
select
    s.x,
    'journey' as method,
    arg_max(t.pos, (t.us, t.id)) as pos,
    max(s.us) - max(t.us) as gap
from said as s
inner join told as t on s.customer = t.customer
where
    t.us <= s.us and not t.is_pushed and coalesce(cast(t.kind as varchar) = s.flow, true)
    and s.x not in (select a.x from about as a)
group by s.x;

insert into passed_by
select x from about
where method = 'journey' and gap > 14 * 86400000000;

delete from about
where method = 'journey' and gap > 14 * 86400000000;

create temp table unjoined as
with left_over as (
    select
        x,
        customer,
        target,
        visit,
        case_no
    from said
    where x not in (select a.x from about as a)
),

places as (
    select distinct l.x
    from left_over as l
    inner join told as t
        on l.customer = t.customer and try_cast(l.target as touchpoint) = t.touchpoint
),

people as (
    select distinct customer from told
    where customer in (select l.customer from left_over as l)
)

select
    x,
    case
        when customer not in (select p.customer from people as p) then 'no_event'
        when
            visit is not null or case_no is not null
            or (target is not null and x not in (select p.x from places as p))
            then 'unknown_name'
        when x in (select p.x from passed_by as p) then 'window_passed'
        else 'nothing_before'
    end as unjoined
from left_over;

create temp table opinions as
select
    s.*,
    a.method,
    a.gap,
    u.unjoined,
    t.j,
    case when a.method != 'journey' then t.step end as step,
    case
        when not s.is_customer or s.u is null then null
        when s.level = 'touchpoint' and a.method != 'journey' then 'step'
        when s.level = 'journey' and s.is_solicited and t.j is not null then 'whole'
    end as part
from said as s
left join about as a on s.x = a.x
left join told as t on a.pos = t.pos
left join unjoined as u on s.x = u.x
order by s.x;

drop table said;
drop table about;
drop table passed_by;
drop table unjoined;
