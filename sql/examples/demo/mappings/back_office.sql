-- Purpose: work on cases and parcels, visits, counters, partners. Grain: one task done.
select
    task_id as id,
    done_at as time,
    customer_no as identity,
    'customer' as identitytype,
    task as activity,
    place as channel,
    direction,
    who as actor_type,
    desk as touchpoint,
    case desk when 'shop_counter' then 'shop' end as site_id,
    employee as actor_id,
    'back_office' as system,
    flow as journey_type,
    topic as intent,
    product as product_id,
    case_no as case_id,
    ended_as as outcome,
    waited_s as wait_s,
    worked_s as talk_s,
    forward_to as to_owner,
    offered as message_kind,
    state as lifecycle,
    case when finished_at is not null then done_at end as start_time,
    finished_at as end_time,
    waits_for as waiting_for,
    case
        when said_of is not null
            then [struct_pack(topic := said_of, value_hmac := said, valid_to := null)]
    end as claims,
    list_transform(
        fields, lambda f: struct_pack(field := f['name'], op := f['use'], value_hmac := f['answer'])
    ) as info,
    case
        when promise_no is not null
            then
                struct_pack(
                    id := promise_no,
                    kind := promise_kind,
                    op := promise_op,
                    due_time := promise_due,
                    value := null,
                    owner := case split_part(promise_no, '-', 1)  -- who must deliver it
                        when 'delivery' then 'logistics'
                        when 'visit' then 'technician'
                        when 'report' then 'media'
                    end
                )
    end as promise
from source
