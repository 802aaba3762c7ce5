-- Purpose: hand-offs seen and asked for, with the context that went over. Grain: one hand-off.
create temp table links as
with candidates as (
    select
        step,
        j,
        pos,
        owner,
        team,
        touchpoint,
        owner_from_table,
        outcome,
        is_worked,
        direction = 'internal' and not has_receiver and j = lag(j) over () and j = lead(j) over ()
        and lag(owner) over () = lead(owner) over () and owner != lag(owner) over ()
            as is_consultation
    from steps
    where owner is not null and not is_pushed
)

select
    * exclude (is_consultation),
    lag(j) over () as previous_j,
    lag(step) over () as giver,
    lag(owner) over () as previous_owner,
    lag(team) over () as previous_team,
    lag(touchpoint) over () as previous_touchpoint,
    lag(owner_from_table) over () as previous_from_table,
    running_max(
        case
            when outcome is not null
                then
                    cast(step as bigint) * 2
                    + cast(outcome in ('resolved', 'sold', 'informed', 'partly') as bigint)
        end
    ) as solved,
    running_max(case when is_worked then step end) as worked
from candidates
where not coalesce(is_consultation, false);

-- Who got work back: `solved` and `worked` are of the steps before a run of one owner, so that the
-- next run knows them of this one.
create temp table ping_pongs as
with heads as (
    select
        step,
        j,
        owner,
        lag(solved) over () as solved,
        lag(worked) over () as worked,
        coalesce(j != previous_j or owner != previous_owner, true) as is_head
    from links
),

runs as (
    select
        step,
        solved,
        worked,
        j = lag(j, 2) over () and owner = lag(owner, 2) over () as is_back,
        lag(step) over () as middle,
        lead(worked) over () as worked_after,
        lead(step) over () is null as is_last
    from heads
    where is_head
),

backs as (
    select
        * exclude (worked_after, is_last),
        case when is_last then (select max(l.worked) from links as l) else worked_after end
            as worked_after
    from runs
    where is_back
)

select
    step,
    case when coalesce(solved // 2 >= middle, false) then 1.0 else 0.5 end as sure
from backs
where
    case
        when coalesce(solved // 2 >= middle, false) then solved % 2 = 0
        else coalesce(worked >= middle and worked_after >= step, false)
    end;

create temp table seen as
select
    step,
    giver,
    j,
    pos
from links
where
    j = previous_j
    and (owner != previous_owner or coalesce(team != previous_team, false))
    and not coalesce(
        touchpoint = previous_touchpoint and owner_from_table and previous_from_table, false
    );

drop table links;

create temp table context as
with pairs as (
    select
        s.step,
        s.pos as start,
        false as is_receiver,
        k.field,
        k.op,
        k.basis,
        k.first_observed,
        k.first_any
    from known as k
    inner join seen as s on k.step = s.giver
    union all
    select
        s.step,
        s.pos as start,
        true as is_receiver,
        k.field,
        k.op,
        k.basis,
        k.first_observed,
        k.first_any
    from known as k
    inner join seen as s on k.step = s.step
),

fields as (
    select
        step,
        field,
        bool_or(op = 'passed' and basis = 0) as passes,
        bool_or(op = 'passed' and basis = 0 and first_observed < start) as passed,
        bool_or(op != 'passed' and is_receiver and basis = 0 and first_observed < start) as again,
        bool_or(op = 'passed') as passes_any,
        bool_or(op = 'passed' and first_any < start) as passed_any,
        bool_or(op != 'passed' and is_receiver and first_any < start) as again_any
    from pairs
    group by step, field
),

told_of as (
    select
        step,
        bool_or(passes) as passes,
        count(*) filter (where passed) as n_passed,
        count(*) filter (where again) as n_again,
        bool_or(passes_any) as passes_any,
        count(*) filter (where passed_any) as n_passed_any,
        count(*) filter (where again_any) as n_again_any
    from fields
    group by step
),

known_of as (
    select
        s.step,
        count(*) filter (where g.first_observed < s.pos) as n_known,
        count(*) filter (where g.first_any < s.pos) as n_known_any
    from seen as s
    inner join gives as g on s.j = g.j
    group by s.step
),

measured as (
    select
        s.*,
        coalesce(k.n_known, 0) as n_known,
        coalesce(k.n_known_any, 0) as n_known_any,
        coalesce(t.n_passed, 0) as n_passed,
        coalesce(t.n_again, 0) as n_again,
        coalesce(t.n_passed_any, 0) as n_passed_any,
        coalesce(t.n_again_any, 0) as n_again_any,
        coalesce(k.n_known > 0 and (t.passes or t.n_again > 0), false) as is_seen,
        coalesce(k.n_known_any > 0 and (t.passes_any or t.n_again_any > 0), false) as is_said
    from seen as s
    left join known_of as k on s.step = k.step
    left join told_of as t on s.step = t.step
),

chosen as (
    select
        step,
        giver,
        j,
        pos,
        is_said and not is_seen as is_declared,
        is_seen or is_said as is_measured,
        case when is_said and not is_seen then n_known_any else n_known end as n_known,
        case when is_said and not is_seen then n_passed_any else n_passed end as n_passed,
        case when is_said and not is_seen then n_again_any else n_again end as n_again
    from measured
)

select
    *,
    case
        when not is_measured then 'unknown'
        when n_passed = 0 then 'none'
        when n_passed < n_known then 'part'
        else 'full'
    end as context
from chosen;

-- What holds when, of service levels: times are cut where a row begins or ends, so that one row
-- holds in each piece; of several valid ones the one that began last.
create temp table agreed as
with moments as (
    select -9223372036854775807 as us
    union
    select epoch_us(valid_from) as us from slas
    union
    select epoch_us(valid_to) as us from slas
),

pieces as (
    select
        us as since,
        lead(us, 1, 9223372036854775807) over (order by us) as until
    from moments
    where us is not null
)

select
    s.sla,
    cast(s.journey_type as journey_type) as kind,
    s.kind as level,
    try_cast(s.to_owner as owner) as to_owner,
    s.to_owner is null as is_for_all,
    p.since,
    p.until,
    epoch_us(cast('2000-01-01' as timestamp) + cast(
        replace(replace(replace(s.due, 'min', ' minutes'), 'h', ' hours'), 'd', ' days')
        as interval
    )) - epoch_us(cast('2000-01-01' as timestamp)) as span
from pieces as p
inner join slas as s
    on
        coalesce(epoch_us(s.valid_from) <= p.since, true)
        and coalesce(p.since < epoch_us(s.valid_to), true)
where try_cast(s.journey_type as journey_type) is not null
qualify
    row_number() over (
        partition by s.sla, s.journey_type, s.kind, s.to_owner, p.since
        order by s.valid_from desc nulls last
    ) = 1;

create temp table asked as
with asking as (
    select
        t.pos,
        t.step,
        t.j,
        t.us,
        t.id,
        t.time,
        t.to_owner,
        t.session_pos,
        t.us + coalesce(o.span, l.span, y.handoff_due) as due
    from told as t
    inner join types as y on t.kind = y.kind
    left join agreed as o
        on
            t.kind = o.kind and t.to_owner = o.to_owner and o.level = 'handoff'
            and t.us >= o.since and t.us < o.until
    left join agreed as l
        on
            t.kind = l.kind and l.is_for_all and l.level = 'handoff'
            and t.us >= l.since and t.us < l.until
    where t.to_owner is not null
),

taken as (
    select
        a.pos,
        min(t.pos) as received_pos,
        min(t.step) as received_step
    from told as t
    inner join asking as a on t.j = a.j and t.owner = a.to_owner
    where
        t.pos > a.pos and t.actor_type != 'customer'
        and (
            t.direction != 'inbound' or t.actor_type = 'human' or t.session_pos = a.session_pos
        )
    group by a.pos
)

select
    a.*,
    t.received_step,
    t.received_pos,
    t.received_pos is null
    and a.due < (select epoch_us(f.frontier) - 86400000000 from found_texts as f) as is_dropped
from asking as a
left join taken as t on a.pos = t.pos;
