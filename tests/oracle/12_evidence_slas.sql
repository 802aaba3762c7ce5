-- purpose: breached service levels as broken promises, where no event promised one itself
-- grain:   one row per piece
-- key:     step_id, kind, detail
-- sources: sla_result, promised
insert into piece by name
select
    journey_id,
    step_id,
    null as prev_step_id,
    'promise_broken' as kind,
    due_t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    sla || ' ' || kind || if(is_late, ' late', '') as detail
from sla_result
where
    status = 'breached'
    and not exists (
        select 1 from promised as p
        where sla_result.journey_id = p.journey_id and p.kind = 'sla'
    );
