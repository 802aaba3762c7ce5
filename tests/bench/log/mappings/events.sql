-- Purpose: one log that is nearly canonical already. Grain: one event.
select
    cast(id as varchar) as id,
    time,
    identity,
    'customer' as identitytype,
    visit as correlationid,
    activity,
    channel,
    direction,
    actor_type,
    touchpoint,
    owner,
    journey_type,
    case_no as case_id,
    intent,
    outcome,
    to_owner,
    wait_s,
    talk_s,
    message_kind,
    relevance_basis,
    list_transform(
        info, lambda i: struct_pack(field := i['name'], op := i['use'], value_hmac := i['answer'])
    ) as info,
    case
        when promise_no is not null
            then
                struct_pack(
                    id := promise_no,
                    kind := promise_kind,
                    op := promise_op,
                    due_time := promise_due,
                    value := null
                )
    end as promise
from source
