-- Purpose: pages and forms of the web site and the app. Grain: one action of one visitor.
select
    event_id as id,
    cast(logged_at as timestamptz) as time,
    visitor as identity,
    'customer' as identitytype,
    visit as correlationid,
    act as activity,
    device as channel,
    'inbound' as direction,
    'customer' as actor_type,
    page as touchpoint,
    'web' as system,
    flow as journey_type,
    topic as intent,
    product as product_id,
    claim_no as case_id,
    status as outcome,
    error as error_code,
    hits as results_n,
    list_transform(
        form, lambda f: struct_pack(field := f['name'], op := 'given', value_hmac := f['answer'])
    ) as info,
    case
        when promise_no is not null
            then
                struct_pack(
                    id := promise_no,
                    kind := promise_kind,
                    op := 'made',
                    due_time := cast(promise_due as timestamptz),
                    value := null,
                    owner := 'logistics'  -- who must deliver it
                )
    end as promise
from source
