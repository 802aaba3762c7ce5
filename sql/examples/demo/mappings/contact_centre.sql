-- Purpose: voice menu and calls of the contact centre. Grain: one entry of the call log.
-- `answers` says what was asked and answered, `screen` what the agent saw without asking.
select
    entry_id as id,
    cast(logged_at as timestamptz) as time,
    customer_no as identity,
    'customer' as identitytype,
    call_no as correlationid,
    entry_kind as activity,
    medium as channel,
    case dialled when 'in' then 'inbound' else 'outbound' end as direction,
    case medium when 'ivr' then 'bot' else 'human' end as actor_type,
    line as touchpoint,
    agent as actor_id,
    'contact_centre' as system,
    flow as journey_type,
    reason as intent,
    product as product_id,
    case_no as case_id,
    disposition as outcome,
    cast(queue_s as integer) as wait_s,
    cast(talk_s as integer) as talk_s,
    -- half a crown for each minute begun: what the line costs
    case
        when talk_s is not null then cast(ceil(cast(talk_s as double) / 60) * 0.5 as decimal(18, 4))
    end as cost_amount,
    case when talk_s is not null then 'DKK' end as currency,
    forward_to as to_owner,
    case when forward_to is not null then 'cold' end as handoff_kind,
    list_concat(
        list_transform(
            string_split(answers, ';'),
            lambda a: struct_pack(
                field := split_part(a, '=', 1), op := 'given', value_hmac := split_part(a, '=', 2)
            )
        ),
        list_transform(
            string_split(asked, ';'),
            lambda a: struct_pack(field := a, op := 'asked', value_hmac := null)
        ),
        list_transform(
            string_split(screen, ';'),
            lambda a: struct_pack(field := a, op := 'shown', value_hmac := null)
        )
    ) as info,
    case
        when promise_no is not null
            then
                struct_pack(
                    id := promise_no,
                    kind := promise_kind,
                    op := promise_op,
                    due_time := cast(promise_due as timestamptz),
                    value := null,
                    owner := case split_part(promise_no, '-', 1)  -- who must deliver it
                        when 'delivery' then 'logistics'
                        when 'visit' then 'technician'
                        when 'report' then 'media'
                    end
                )
    end as promise
from source
