-- purpose: journeys with type, beginning, end, deadline and the reason of closing
-- grain:   one row per journey
-- key:     j, journey_id
-- sources: stepped, types, journey_types, frontiers, settings
create or replace table journey as
with grouped as (
    select
        j,
        any_value(customer) as customer,
        any_value(thread) as thread,
        any_value(journey_no) as journey_no,
        any_value(is_caseless) as is_caseless,
        min(place) as first_place,
        arg_min(begun_by, place) as begun_by,
        arg_min(shown_t, place) as shown_t,
        coalesce(arg_max(jtype, place), 'other') as journey_type,
        arg_min(product_id, place) as product_id,
        arg_min(lifecycle_stage, place) as lifecycle_stage,
        arg_min(segment, place) as segment,
        coalesce(
            min(t_start) filter (where is_need_driven or direction = 'internal'),
            min(t_start)
        ) as started_t,
        coalesce(bool_or(is_need_driven or direction = 'internal'), false) as has_start,
        max(t_end) as clock_end_t,
        min(t) as first_t,
        max(t) as last_t,
        arg_max(coalesce(end_t, -1), place) as end_t,
        count(*) as n_events
    from stepped
    group by j
),

named as (
    select
        g.* exclude (begun_by, shown_t),
        p.customer_key,
        k.case_id,
        left(sha256(concat_ws(
            chr(31),
            p.customer_key,
            if(g.is_caseless, 'none', 'case'),
            coalesce(k.case_id, d.thread_type),
            e.source,
            e.id
        )), 16) as journey_id
    from grouped as g
    inner join ev as e on g.first_place = e.place
    inner join person as p on g.customer = p.customer
    inner join thread as d on g.thread = d.thread
    left join case_number as k on d.kase = k.kase
),

deadlines as (
    select
        g.*,
        g.first_t + c.cap as cap_t,
        case when g.end_t >= 0 then g.end_t + c.reopen_window end as window_t,
        case
            when g.end_t < 0 then g.last_t + if(g.is_caseless, c.gap, c.case_gap)
        end as silence_t,
        case when follower.begun_by in ('start', 'need') then follower.shown_t end as start_t,
        follower.begun_by as next_begun_by
    from named as g
    inner join types as c on g.journey_type = c.name
    left join grouped as follower
        on g.thread = follower.thread and follower.journey_no = g.journey_no + 1
),

closing as (
    select
        *,
        least(
            cap_t, coalesce(window_t, cap_t), coalesce(silence_t, cap_t), coalesce(start_t, cap_t)
        ) as deadline,
        case
            when start_t <= least(cap_t, coalesce(window_t, silence_t, cap_t))
                then if(next_begun_by = 'need', 'new need', 'start rule')
            when cap_t <= coalesce(window_t, silence_t, cap_t) then 'cap'
            when window_t is not null then 'end rule'
            else 'silence'
        end as reason
    from deadlines
),

w as (select min(w) as w from frontiers)

select
    c.* replace (greatest(c.clock_end_t, c.started_t) as clock_end_t),
    coalesce(w.w > c.deadline + s.lateness, false) as is_closed,
    s.lateness,
    w.w,
    (
        select j.owner from journey_types as j
        where
            j.journey_type = c.journey_type
            and coalesce(epoch_us(j.valid_from) <= c.started_t, true)
            and coalesce(c.started_t < epoch_us(j.valid_to), true)
        order by j.valid_from desc nulls last, j.json asc
        limit 1
    ) as type_owner
from closing as c
cross join settings as s
cross join w;
