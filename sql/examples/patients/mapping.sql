-- Event log of an emergency department (XES names) -> interactions, one row each.
-- Every activity lasts longer than 30 minutes: start and complete share one activity_id, so that
-- they stay one step. All of it is work inside the department, so no contact is counted: the log
-- does not say what the patients themselves did.
select
    handling_id || '-' || registration_type as id,
    "case:concept:name" as identity,
    'case' as identitytype,
    "case:concept:name" as case_id,
    "concept:name" as activity,
    handling_id as activity_id,
    registration_type as lifecycle,
    'internal' as channel,
    'internal' as direction,
    'human' as actor_type,
    "org:resource" as owner,
    "org:resource" as actor_id,
    cast("time:timestamp" as timestamptz) as time
from source
