-- purpose: cuts threads into journeys: a fold over the total order with deadlines
-- grain:   one row per event, with the state of its journey after it
-- key:     place
-- sources: threaded, types
create or replace table cut as
with recursive
numbered as (
    select
        *,
        dense_rank() over (
            order by customer_key, thread_case nulls last, thread_type nulls last
        ) as thread,
        row_number() over (
            partition by customer_key, thread_case, thread_type order by place
        ) as n
    from threaded
),

-- is_end, is_mapped of each event by each type that it may be judged by
judged as (
    select
        e.place,
        c.name,
        coalesce(list_contains(c.end_activities, e.activity), false)
        or coalesce(list_contains(c.end_outcomes, e.outcome), false) as is_end,
        coalesce(map_contains(c.outcome_map, e.outcome), false) as is_mapped,
        coalesce(list_contains(c.start_activities, e.activity), false) as is_start
    from numbered as e
    cross join types as c
),

fold as (
    select
        e.thread,
        e.n,
        e.place,
        1 as journey_no,
        'first' as begun_by,
        e.t as first_t,
        e.t as last_t,
        coalesce(e.thread_type, e.etype) as jtype,
        case when j.is_end then e.t end as end_t,
        case when j.is_end then e.place end as end_place,
        j.is_end,
        e.thread_case is null as is_caseless
    from numbered as e
    inner join judged as j
        on e.place = j.place and j.name = coalesce(e.thread_type, e.etype, 'other')
    where e.n = 1
    union all
    select
        e.thread,
        e.n,
        e.place,
        s.journey_no + s.is_new::int as journey_no,
        case when s.is_new then if(s.is_late, 'deadline', 'start') else s.begun_by end as begun_by,
        if(s.is_new, e.t, s.first_t) as first_t,
        e.t as last_t,
        s.jtype_after as jtype,
        case
            when a.is_end then e.t
            when s.is_new or (a.is_mapped and e.direction <> 'outbound') then null
            else s.end_t
        end as end_t,
        case
            when a.is_end then e.place
            when s.is_new or (a.is_mapped and e.direction <> 'outbound') then null
            else s.end_place
        end as end_place,
        a.is_end,
        s.is_caseless
    from (
        select
            f.*,
            x.place as next_place,
            x.t > f.deadline as is_late,
            x.t > f.deadline or (f.is_caseless and b.is_start) as is_new,
            -- a case has one type over all its journeys: that of its first typed event
            coalesce(f.jtype, x.etype) as jtype_after
        from (
            select
                fold.*,
                least(
                    fold.first_t + c.cap,
                    coalesce(
                        fold.end_t + c.reopen_window,
                        case when fold.is_caseless then fold.last_t + c.gap end,
                        fold.first_t + c.cap
                    )
                ) as deadline
            from fold
            inner join types as c on c.name = coalesce(fold.jtype, 'other')
        ) as f
        inner join numbered as x on f.thread = x.thread and x.n = f.n + 1
        inner join judged as b on x.place = b.place and b.name = coalesce(f.jtype, 'other')
    ) as s
    inner join numbered as e on s.next_place = e.place
    inner join judged as a on e.place = a.place and a.name = coalesce(s.jtype_after, 'other')
)

select
    e.*,
    f.journey_no,
    f.begun_by,
    f.jtype,
    f.end_t,
    f.end_place,
    f.is_end,
    f.is_caseless,
    left(sha256(concat_ws(
        chr(31),
        e.customer_key,
        if(f.is_caseless, 'none', 'case'),
        if(f.is_caseless, e.thread_type, e.thread_case),
        first_value(e.source) over journey,
        first_value(e.id) over journey
    )), 16) as journey_id
from numbered as e
inner join fold as f on e.place = f.place
window journey as (partition by e.thread, f.journey_no order by e.place);
