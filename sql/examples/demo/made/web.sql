-- Purpose: what the web site and the app log. Grain: one action. Source: `events`.
select
    'w' || number as event_id,
    time_text as logged_at,
    customer_no as visitor,
    visit,
    touchpoint as page,
    activity as act,
    channel as device,
    journey_type as flow,
    intent as topic,
    product_id as product,
    case_no as claim_no,
    outcome as status,
    error_code as error,
    results_n as hits,
    list_transform(info, lambda i: struct_pack(name := i['name'], answer := i['answer'])) as form,
    promise_no,
    promise_kind,
    strftime(promise_due, '%Y-%m-%d %H:%M:%S+00') as promise_due
from events
where system = 'web'
order by happened_at, number
