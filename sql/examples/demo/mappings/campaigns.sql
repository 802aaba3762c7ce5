-- Purpose: messages that machines send (letters, mails, texts). Grain: one message sent.
select
    message_no as id,
    to_timestamp(sent_ms / 1000.0) as time,
    recipient as identity,
    'customer' as identitytype,
    subject as activity,
    medium as channel,
    'outbound' as direction,
    'system' as actor_type,
    sender as touchpoint,
    'campaigns' as system,
    flow as journey_type,
    product as product_id,
    case_no as case_id,
    kind as message_kind,
    message_no as message_id,
    campaign as campaign_id,
    basis as relevance_basis
from source
