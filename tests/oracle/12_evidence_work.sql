-- purpose: pieces of friction of the inner side: internal_wait, rework
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: stepped, handoff_asked
insert into piece by name
with
queued as (
    select
        q.j,
        q.place,
        q.t,
        q.waiting_for,
        q.expected_latency_s as expected_s,
        (
            select min(n.place) from stepped as n
            where
                n.j = q.j and n.place > q.place and n.activity = q.activity
                and n.owner_eff is not distinct from q.owner_eff
        ) as ended_place
    from stepped as q
    where
        q.lifecycle in ('schedule', 'assign', 'suspend')
        and coalesce(q.waiting_for <> 'customer', true)
        and q.expected_latency_s is not null
),

waits as (
    select
        q.place,
        q.waiting_for,
        e.place as ended_place,
        e.j,
        e.step,
        e.t as ended_t,
        (e.t - q.t) / 1000000 as wait_s,
        q.expected_s
    from queued as q
    inner join stepped as e on q.ended_place = e.place
    union all
    select
        place,
        waiting_for,
        received_place as ended_place,
        j,
        received_step as step,
        received_t as ended_t,
        (received_t - t) / 1000000 as wait_s,
        (due_t - t) / 1000000 as expected_s
    from handoff_asked
    where received_t > due_t
),

measured as (
    select
        *,
        (wait_s - expected_s) / greatest(expected_s, 1) as x
    from waits
)

select
    j,
    step,
    null as prev_step,
    'internal_wait' as kind,
    ended_t as occurred_t,
    x,
    1 - exp(-x) as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', ended_place) || coalesce(waiting_for, '') || format('{:09d}', place) as detail
from measured
where x > 0;

insert into piece by name
with
done as (
    select
        j,
        step,
        place,
        t,
        row_number() over (partition by j, activity order by place) > 1 as is_again
    from stepped
    where direction = 'internal' and coalesce(lifecycle, 'complete') = 'complete'
)

select
    j,
    arg_min(step, place) as step,
    null as prev_step,
    'rework' as kind,
    arg_min(t, place) as occurred_t,
    count(*)::double as x,
    1 - exp(-count(*) / 3) as g,
    1.0 as confidence,
    'observed' as basis,
    '' as detail,
    arg_min(place, place) as proof_place
from done
where is_again
group by j;
