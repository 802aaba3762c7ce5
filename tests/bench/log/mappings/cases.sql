-- Purpose: what each case is. Grain: one case.
select
    case_no as id,
    opened_at as time,
    customer_no as identity,
    'customer' as identitytype,
    case_no as case_id,
    journey_type
from source
