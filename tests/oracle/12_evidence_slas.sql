-- purpose: breached service levels as broken promises, where no event promises that level itself:
--          by its name or kind, else by the due time nearest to its own
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: sla_result, promised
insert into piece by name
with
pairs as (
    select
        r.j,
        r.sla,
        r.kind,
        p.promise_id,
        coalesce(
            p.promise_id in (r.sla, r.kind) or p.value in (r.sla, r.kind),
            p.promise_id in (r.sla, r.kind),
            false
        ) as is_named,
        abs(p.due_t - r.due_t) as apart
    from sla_result as r
    inner join promised as p on r.j = p.j
    where p.kind = 'sla'
),

meant as (
    select *
    from pairs
    qualify
        is_named
        or (
            not bool_or(is_named) over (partition by j, promise_id)
            and apart is not null
            and row_number() over (
                partition by j, promise_id order by apart asc nulls last, sla asc, kind asc
            ) = 1
        )
)

select
    j,
    step,
    null as prev_step,
    'promise_broken' as kind,
    due_t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    sla || ' ' || kind || if(is_late, ' late', '') as detail,
    owed_by as owner
from sla_result
where
    status = 'breached'
    and not exists (
        select 1 from meant as m
        where
            sla_result.j = m.j
            and sla_result.sla = m.sla and sla_result.kind = m.kind
    );
