-- Purpose: all that the systems of the synthetic company log. Grain: one event. Sources: `drawn`
-- (specification, journey and time of an event), `specs` (what it is), `touchpoints` (where it is).
-- `number` grows with the journeys' starts and is the id in every system.
select
    drawn.number,
    drawn.at as happened_at,
    case
        when drawn.fault = 'bad_time' then '31/02/2025 25:61'
        else strftime(drawn.at, '%Y-%m-%d %H:%M:%S.%f') || '+00'
    end as time_text,
    case drawn.fault
        when 'missing_identity' then null
        when 'undefined' then 'undefined'
        else coalesce(specs.customer, 'C' || drawn.customer)
    end as customer_no,
    'V' || drawn.journey || '-' || epoch_ms(drawn.at) // 86400000 as visit,
    specs.touchpoint,
    touchpoints.channel,
    touchpoints.owner,
    touchpoints.system,
    specs.activity,
    specs.direction,
    specs.actor_type,
    case
        when specs.actor_type = 'human'
            then touchpoints.owner || '-' || drawn.number % 37
    end as actor_id,
    specs.journey_type,
    specs.intent,
    coalesce(specs.product_id, specs.journey_type || '-product-' || drawn.journey % 5)
        as product_id,
    coalesce(specs.case_no, specs.case_prefix || '-' || drawn.journey) as case_no,
    specs.outcome,
    specs.error_code,
    specs.results_n,
    specs.to_owner,
    specs.lifecycle,
    specs.waiting_for,
    drawn.at + to_microseconds(specs.lasts) as finished_at,
    specs.claim_topic,
    specs.claim_value,
    drawn.wait_s,
    drawn.talk_s,
    specs.message_kind,
    specs.relevance_basis,
    list_transform(
        specs.info,
        lambda i: struct_pack(
            name := i['field'],
            use := i['op'],
            answer := case
                when i['op'] = 'given' then i['field'] || '-' || i['variant'] || drawn.journey
            end
        )
    ) as info,
    specs.promise_no || '-' || drawn.journey as promise_no,
    specs.promise_kind,
    specs.promise_op,
    drawn.at + to_microseconds(specs.promise_due) as promise_due
from drawn
inner join specs on drawn.spec = specs.spec
inner join touchpoints on specs.touchpoint = touchpoints.touchpoint
