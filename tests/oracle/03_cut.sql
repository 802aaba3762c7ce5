-- purpose: cuts threads into journeys: a fold over the total order with deadlines and needs
-- grain:   one row per event, with the state of its journey after it
-- key:     place
-- sources: threaded, types, settings
create or replace table marks as
select
    activity,
    outcome,
    row_number() over () as mark
from ev
group by activity, outcome;

create or replace table thread as
select
    customer,
    kase,
    thread_type,
    (row_number() over ())::int as thread
from threaded
group by customer, kase, thread_type;

create or replace table numbered as
with nth as (
    select
        h.place,
        h.kase,
        h.ttype,
        d.thread,
        row_number() over (partition by d.thread order by h.place) as n
    from threaded as h
    inner join thread as d
        on
            h.customer = d.customer
            and h.kase is not distinct from d.kase
            and h.thread_type is not distinct from d.thread_type
)

select
    e.event,
    h.place,
    h.thread,
    h.n,
    h.kase,
    h.ttype,
    e.t,
    e.family,
    e.direction,
    e.outcome,
    k.mark,
    e.is_company_driven,
    e.is_message,
    if(e.is_company_driven, null, e.product_id) as need_product,
    if(e.is_company_driven or e.objects is null, [], list_transform(
        list_filter(e.objects, lambda o: o.type is not null and o.id is not null),  -- noqa: RF01
        lambda o: o.type || chr(31) || o.id  -- noqa: RF01
    )) as need_objects
from nth as h
inner join ev as e on h.place = e.place
inner join marks as k on e.activity = k.activity and e.outcome is not distinct from k.outcome;

-- Is the need of `asked` another one than that of a set of products and objects? Null: unknown.
create or replace macro kind_of(object) as split_part(object, chr(31), 1);
create or replace macro is_apart(asked, known) as len(list_filter(
    asked,
    lambda a:
    list_contains(list_transform(known, lambda k: kind_of(k)), kind_of(a))
    and not list_contains(
        list_transform(list_intersect(asked, known), lambda k: kind_of(k)), kind_of(a)
    )
)) > 0;
create or replace macro is_shared(asked, known) as len(list_intersect(asked, known)) > 0;
create or replace macro is_same(asked, known, product, products) as
not is_apart(asked, known)
and (is_shared(asked, known) or coalesce(list_contains(products, product), false));
create or replace macro is_other(asked, known, product, products) as
is_apart(asked, known) or (
    not is_shared(asked, known)
    and product is not null and len(products) > 0 and not list_contains(products, product)
);

-- Where a need that shows at `place` would begin after an end at `end_n`: with the first event of
-- the visit (or of the instant) behind which nothing of another need stands.
create or replace table visits as
with
-- only a product, an object or a purchase after another one tells of a need
telling as (
    select
        *,
        need_product is not null or len(need_objects) > 0 as is_named
    from numbered
    qualify
        is_named
        or (
            outcome = 'sold'
            and min(if(outcome = 'sold', n, null)) over (partition by thread) < n
        )
),

silences as (
    select
        place,
        thread,
        family,
        n,
        coalesce(
            t - lag(t) over (partition by thread, family order by n)
            > (select session_gap from settings), false
        )::int as is_new
    from numbered
    where
        not is_company_driven and not is_message
        and thread in (select w.thread from telling as w)
),

chains as (
    select
        place,
        sum(is_new) over (partition by thread, family order by n) as chain
    from silences
),

-- the last event before it that stands for another need
others as (
    select
        e.place,
        max(b.n) as n
    from telling as e
    inner join numbered as b on e.thread = b.thread and e.n > b.n
    where
        e.is_named and not b.is_company_driven
        and is_other(
            b.need_objects, e.need_objects, b.need_product,
            if(e.need_product is null, [], [e.need_product])
        )
    group by e.place
)

select
    e.place,
    r.n,
    r.t,
    coalesce(o.n, 0) < r.n as is_free
from telling as e
inner join numbered as r on e.thread = r.thread and e.n > r.n
left join others as o on e.place = o.place
left join chains as ce on e.place = ce.place
left join chains as cr on r.place = cr.place
where
    not r.is_company_driven
    and (r.t = e.t or (r.family = e.family and ce.chain = cr.chain));

create or replace table cut as
with recursive
-- what events are by each type that they may be judged by
judged as (
    select
        e.mark,
        c.name,
        coalesce(list_contains(c.end_activities, e.activity), false)
        or coalesce(list_contains(c.end_outcomes, e.outcome), false) as is_end,
        coalesce(list_contains(c.weak_end_outcomes, e.outcome), false) as is_bad,
        coalesce(map_contains(c.outcome_map, e.outcome), false) as is_mapped,
        coalesce(list_contains(c.start_activities, e.activity), false) as is_start
    from marks as e
    cross join types as c
),

fold as (
    select
        0 as turn,
        thread,
        0::bigint as n,
        null::bigint as place,
        0 as journey_no,
        'first' as begun_by,
        null::bigint as shown_t,
        null::bigint as first_t,
        null::bigint as last_t,
        null::varchar as jtype,
        null::bigint as end_t,
        null::bigint as end_place,
        null::bigint as closed_t,
        false as is_held_weakly,
        false as has_sold,
        []::varchar[] as products,
        []::varchar[] as known_objects,
        []::struct(until_t bigint, products varchar[], objects varchar[])[] as earlier,
        false as is_end,
        false as is_weak_end
    from (select distinct thread from numbered) as whole
    union all
    select
        j.turn,
        j.thread,
        j.n,
        j.place,
        j.journey_no,
        j.begun_by,
        j.shown_t,
        j.first_t,
        j.t as last_t,
        j.jtype,
        case
            when a.is_end or j.is_bad_end then j.t
            when j.is_undone then null
            else j.end_t
        end as end_t,
        case
            when a.is_end or j.is_bad_end then j.place
            when j.is_undone then null
            else j.end_place
        end as end_place,
        if(a.is_end, j.t, j.closed_t) as closed_t,
        not a.is_end and (j.is_bad_end or (j.is_held_weakly and not j.is_undone)) as is_held_weakly,
        j.has_sold or (a.is_end and coalesce(j.outcome = 'sold', false)) as has_sold,
        if(j.need_product is null, j.products, list_append(j.products, j.need_product)) as products,
        list_concat(j.known_objects, j.need_objects) as known_objects,
        j.earlier,
        a.is_end,
        a.is_bad and not a.is_end as is_weak_end
    from (
        select
            i.*,
            b.is_bad and not b.is_end and not (
                i.direction = 'outbound' and i.end_t is not null and not i.is_held_weakly
            ) as is_bad_end,
            -- an outcome that is no end takes an end away; a bad one is taken back by anything
            (b.is_mapped and i.direction <> 'outbound')
            or (i.is_held_weakly and not i.is_company_driven and i.t > i.end_t) as is_undone
        from (
            select
                s.turn,
                s.thread,
                e.n,
                e.place,
                e.mark,
                e.t,
                e.direction,
                e.outcome,
                e.is_company_driven,
                e.need_product,
                e.need_objects,
                s.journey_no + s.is_new::int as journey_no,
                if(s.is_new, s.why, s.begun_by) as begun_by,
                if(s.is_new, s.asked_t, s.shown_t) as shown_t,
                if(s.is_new, e.t, s.first_t) as first_t,
                coalesce(if(s.is_new, null, s.jtype), e.ttype) as jtype,
                if(s.is_new, null, s.end_t) as end_t,
                if(s.is_new, null, s.end_place) as end_place,
                if(s.is_new, null, s.closed_t) as closed_t,
                not s.is_new and s.is_held_weakly as is_held_weakly,
                not s.is_new and s.has_sold as has_sold,
                if(s.is_new, [], s.products) as products,
                if(s.is_new, [], s.known_objects) as known_objects,
                if(s.is_new and s.needed_t is not null, list_append(s.earlier, {
                    'until_t': s.needed_t + s.reopen_window,
                    'products': s.products,
                    'objects': s.known_objects
                }), s.earlier) as earlier
            from (
                select
                    w.*,
                    coalesce(w.why <> 'none', false) as is_new,
                    case
                        when w.why = 'need'
                            then
                                coalesce((
                                    select min(v.n) from visits as v
                                    where v.place = w.asked_place and v.is_free and v.t > w.needed_t
                                ), w.asked_n)
                        else w.asked_n
                    end as next_n
                from (
                    select
                        d.* exclude (turn),
                        d.turn + 1 as turn,
                        case
                            when d.n = 0 then 'first'
                            when
                                d.is_start
                                and (d.is_caseless or d.is_after_end)
                                then 'start'
                            when d.asked_t > d.last_t and d.asked_t > d.deadline then 'deadline'
                            when
                                d.is_after_end and not d.is_message_only
                                and (
                                    (
                                        len(d.late) = 0
                                        and coalesce(is_other(
                                            d.asked_objects, d.known_objects, d.asked_product,
                                            d.products
                                        ), false)
                                    )
                                    or (
                                        d.has_sold and d.is_sale
                                        and not (
                                            is_shared(d.asked_objects, d.known_objects)
                                            and not is_apart(d.asked_objects, d.known_objects)
                                        )
                                        and len(list_filter(
                                            d.late,
                                            lambda o: is_shared(d.asked_objects, o.objects)
                                        )) = 0
                                    )
                                )
                                then 'need'
                            else 'none'
                        end as why
                    from (
                        select
                            fold.*,
                            x.n as asked_n,
                            x.t as asked_t,
                            x.place as asked_place,
                            x.need_objects as asked_objects,
                            x.need_product as asked_product,
                            x.is_company_driven as is_message_only,
                            coalesce(x.outcome = 'sold', false) as is_sale,
                            x.kase is null as is_caseless,
                            b.is_start,
                            c.reopen_window,
                            -- earlier journeys whose window reaches the event, of its need
                            list_filter(
                                fold.earlier,
                                lambda o:
                                x.t <= o.until_t  -- noqa: RF01
                                and is_same(
                                    x.need_objects, o.objects,  -- noqa: RF01
                                    x.need_product, o.products  -- noqa: RF01
                                )
                            ) as late,
                            -- after an end that stands, or within the window after a good one
                            greatest(fold.end_t, fold.closed_t) as needed_t,
                            coalesce(x.t > greatest(fold.end_t, fold.closed_t), false) and (
                                fold.end_t is not null or x.t - fold.closed_t <= c.reopen_window
                            ) as is_after_end,
                            least(
                                fold.first_t + c.cap,
                                coalesce(
                                    fold.end_t + c.reopen_window,
                                    fold.last_t + if(x.kase is null, c.gap, c.case_gap)
                                )
                            ) as deadline
                        from fold
                        inner join numbered as x
                            on fold.thread = x.thread and x.n = fold.n + 1
                        inner join types as c on c.name = coalesce(fold.jtype, 'other')
                        inner join judged as b
                            on
                                x.mark = b.mark
                                and b.name = coalesce(fold.jtype, x.ttype, 'other')
                    ) as d
                ) as w
            ) as s
            inner join numbered as e on s.thread = e.thread and s.next_n = e.n
        ) as i
        inner join judged as b on i.mark = b.mark and b.name = coalesce(i.jtype, 'other')
    ) as j
    inner join judged as a on j.mark = a.mark and a.name = coalesce(j.jtype, 'other')
),

-- where a visit was drawn into the new journey its events were folded again: the last turn counts
again as (
    select
        place,
        max(turn) as turn
    from fold
    group by place
    having count(*) > 1
),

settled as (
    select f.*
    from fold as f
    left join again as a on f.place = a.place
    where f.n > 0 and coalesce(f.turn = a.turn, true)
),

begun as (
    select
        thread,
        journey_no,
        min(place) as place,
        (row_number() over ())::int as j
    from settled
    group by thread, journey_no
)

select
    h.event,
    f.place,
    f.thread,
    f.journey_no,
    f.begun_by,
    f.shown_t,
    f.jtype,
    f.end_t,
    f.end_place,
    f.is_end,
    f.is_weak_end,
    h.kase is null as is_caseless,
    m.j
from settled as f
inner join numbered as h on f.place = h.place
inner join begun as m on f.thread = m.thread and f.journey_no = m.journey_no
order by h.event;

drop table threaded;
drop table visits;
